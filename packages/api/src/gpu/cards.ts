import { readdir, readFile } from "node:fs/promises";

const DEVICES = "/sys/bus/pci/devices";
/** By PCI vendor: the maker, and the classes of device that compute for spaces. AMD's display adapters are in half of all laptops. */
const MAKERS: Record<string, { name: string; classes: string[] }> = {
  "0x10de": { name: "NVIDIA", classes: ["0x03", "0x12"] },
  "0x1002": { name: "AMD", classes: ["0x12"] },
};

/** Whose cards for computing are in this machine, whether their drivers work or not. Empty where that can't be seen. Never throws. */
export async function cardMakers(): Promise<string[]> {
  const devices = await readdir(DEVICES).catch(() => []);
  const made = await Promise.all(
    devices.map(async (device) => {
      const read = (file: string) =>
        readFile(`${DEVICES}/${device}/${file}`, "latin1").catch(() => "");
      const [vendor, kind] = await Promise.all([read("vendor"), read("class")]);
      const maker = MAKERS[vendor.trim()];
      return maker?.classes.some((each) => kind.startsWith(each)) ? [maker.name] : [];
    }),
  );
  return [...new Set(made.flat())].sort();
}
