import { execFile } from "node:child_process";
import { readdir, readFile, stat } from "node:fs/promises";
import { promisify } from "node:util";
import { fromCdi, fromNvidiaSmi, fromRocmSmi, type GpuDevice } from "./parse.js";

const TIMEOUT_MS = 3000;
/** Windows puts its driver's tools there, and not on the PATH. */
const NVIDIA_SMI = ["nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"];
const ROCM_SMI = ["rocm-smi", "/opt/rocm/bin/rocm-smi"];
const CDI_FOLDERS = ["/etc/cdi", "/var/run/cdi"];
/** The device of all AMD GPUs, and the first of those that stand for one each. */
const KFD = "/dev/kfd";
const FIRST_RENDER = 128;

/** The GPUs of this machine, by its drivers' own tools; where there are none, by what is described to the engine. Never throws. */
export async function detectGpus(): Promise<GpuDevice[]> {
  const [nvidia, amd] = await Promise.all([nvidiaGpus(), amdGpus()]);
  const found = [...nvidia, ...amd];
  return found.length > 0 ? found : await cdiGpus();
}

async function nvidiaGpus(): Promise<GpuDevice[]> {
  const fields = "--query-gpu=index,uuid,name,memory.total";
  const printed = await firstOf(NVIDIA_SMI, [fields, "--format=csv,noheader,nounits"]);
  return printed === undefined ? [] : fromNvidiaSmi(printed);
}

async function amdGpus(): Promise<GpuDevice[]> {
  const kfd = await stat(KFD).catch(() => undefined);
  if (!kfd) return [];
  const wanted = ["--showproductname", "--showuniqueid", "--showmeminfo", "vram", "--json"];
  const gpus = fromRocmSmi((await firstOf(ROCM_SMI, wanted)) ?? "");
  return await Promise.all(
    gpus.map(async (gpu) => {
      const render = `/dev/dri/renderD${FIRST_RENDER + gpu.index}`;
      const { gid = kfd.gid } = (await stat(render).catch(() => undefined)) ?? {};
      // The space's user is none of the host's: it gets the groups that may use the devices.
      return { ...gpu, devices: [KFD, render], groups: [...new Set([kfd.gid, gid])] };
    }),
  );
}

async function cdiGpus(): Promise<GpuDevice[]> {
  for (const folder of CDI_FOLDERS) {
    for (const name of await readdir(folder).catch(() => [])) {
      if (!/\.(json|ya?ml)$/.test(name)) continue;
      const gpus = fromCdi(await readFile(`${folder}/${name}`, "utf8").catch(() => ""));
      if (gpus.length > 0) return gpus;
    }
  }
  return [];
}

async function firstOf(commands: string[], args: string[]): Promise<string | undefined> {
  for (const command of commands) {
    const options = { timeout: TIMEOUT_MS, killSignal: "SIGKILL" } as const;
    const printed = await promisify(execFile)(command, args, options).catch(() => undefined);
    if (printed) return printed.stdout;
  }
  return undefined;
}
