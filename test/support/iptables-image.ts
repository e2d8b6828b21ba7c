import { execFile } from "node:child_process";
import { existsSync, lstatSync } from "node:fs";
import { promisify } from "node:util";
import type Docker from "dockerode";

const exec = promisify(execFile);
const PACKAGES = [
  "iptables",
  "libip4tc2",
  "libip6tc2",
  "libxtables12",
  "libnftnl11",
  "libmnl0",
  "libnfnetlink0",
  "libnetfilter-conntrack3",
];

/** Whether an image holds iptables. */
export async function hasIptables(docker: Docker, image: string): Promise<boolean> {
  const container = await docker.createContainer({ Image: image, Cmd: ["true"] });
  try {
    return await container.infoArchive({ path: "/usr/sbin/iptables-restore" }).then(
      () => true,
      () => false,
    );
  } finally {
    await container.remove();
  }
}

/** Puts this machine's iptables into an image that lacks it, under the same name. */
export async function addIptables(docker: Docker, image: string): Promise<void> {
  if (await hasIptables(docker, image)) return;
  const { stdout } = await exec("dpkg", ["-L", ...PACKAGES]);
  const files = [...new Set(stdout.split("\n"))].filter(
    (path) => path && existsSync(path) && !lstatSync(path).isDirectory(),
  );
  const links = ["iptables", "ip6tables", "ebtables"].flatMap((tool) =>
    ["", "-save", "-restore"].map((suffix) => `/etc/alternatives/${tool}${suffix}`),
  );
  const { stdout: tar } = await exec(
    "tar",
    [
      "-cf",
      "-",
      "-C",
      "/",
      ...[...files, ...links.filter(existsSync)].map((path) => path.slice(1)),
    ],
    { encoding: "buffer", maxBuffer: 64 * 1024 ** 2 },
  );
  const container = await docker.createContainer({ Image: image });
  try {
    await container.putArchive(tar, { path: "/" });
    const [repo, tag] = image.split(":");
    await container.commit({ repo, tag });
  } finally {
    await container.remove();
  }
}
