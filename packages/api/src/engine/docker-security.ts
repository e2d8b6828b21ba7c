import type Docker from "dockerode";
import { z } from "zod";
import type { ContainerSecurity, EngineInfo } from "./engine.js";

const names = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);
const record = z
  .record(z.string(), z.string())
  .nullish()
  .transform((map) => map ?? {});

/** The parts of an inspected container that dockerode's own types leave out or take for granted. */
const HostConfigSchema = z.looseObject({
  Privileged: z.boolean().nullish(),
  CapAdd: names,
  CapDrop: names,
  SecurityOpt: names,
  Runtime: z.string().nullish(),
  ReadonlyRootfs: z.boolean().nullish(),
  NetworkMode: z.string().nullish(),
  Memory: z.number().nullish(),
  MemorySwap: z.number().nullish(),
  NanoCpus: z.number().nullish(),
  CpuQuota: z.number().nullish(),
  CpuPeriod: z.number().nullish(),
  PidsLimit: z.number().nullish(),
  Init: z.boolean().nullish(),
  MaskedPaths: names,
  ReadonlyPaths: names,
  Tmpfs: record,
  Devices: z
    .array(z.looseObject({ PathOnHost: z.string(), PathInContainer: z.string() }))
    .nullish(),
});

const MountSchema = z.looseObject({
  Type: z.string(),
  Source: z.string().nullish(),
  Destination: z.string(),
});

/** What an inspected container is confined by. */
export function toSecurity(info: Docker.ContainerInspectInfo): ContainerSecurity {
  const host = HostConfigSchema.parse(info.HostConfig);
  const mounts = z.array(MountSchema).parse(info.Mounts ?? []);
  const networks = Object.values(info.NetworkSettings?.Networks ?? {});
  const address = networks[0]?.IPAMConfig?.IPv4Address || networks[0]?.IPAddress || undefined;
  const opts = host.SecurityOpt;
  const privileged = host.Privileged ?? false;
  const dropsAll = host.CapDrop.some((each) => /^(CAP_)?ALL$/i.test(each));
  const base = privileged ? ["ALL"] : dropsAll ? [] : ["default"];
  return {
    user: info.Config.User || "0",
    privileged,
    capabilities: [...base, ...host.CapAdd],
    noNewPrivileges: opts.some((each) => /^no-new-privileges([:=]true)?$/.test(each)),
    seccomp: toSeccomp(opts, privileged),
    runtime: host.Runtime ?? "",
    readonlyRootfs: host.ReadonlyRootfs ?? false,
    networkMode: host.NetworkMode ?? "",
    address,
    memoryBytes: host.Memory ?? 0,
    memorySwapBytes: host.MemorySwap ?? 0,
    cpus: toCpus(host),
    pids: host.PidsLimit ?? 0,
    init: host.Init ?? false,
    maskedPaths: host.MaskedPaths,
    readonlyPaths: host.ReadonlyPaths,
    tmpfs: host.Tmpfs,
    hostMounts: [
      ...mounts
        .filter(({ Type }) => Type === "bind")
        .map(({ Source, Destination }) => `${Source}:${Destination}`),
      ...(host.Devices ?? []).map((each) => `${each.PathOnHost}:${each.PathInContainer}`),
    ],
  };
}

function toSeccomp(opts: string[], privileged: boolean): ContainerSecurity["seccomp"] {
  const opt = opts.find((each) => each.startsWith("seccomp"));
  if (privileged || opt?.slice("seccomp=".length) === "unconfined") return "unconfined";
  return opt ? "custom" : "default";
}

function toCpus(host: z.infer<typeof HostConfigSchema>): number {
  if (host.NanoCpus) return host.NanoCpus / 1e9;
  return host.CpuQuota && host.CpuQuota > 0 ? host.CpuQuota / (host.CpuPeriod || 100_000) : 0;
}

const InfoSchema = z.looseObject({
  MemoryLimit: z.boolean().nullish(),
  CpuCfsQuota: z.boolean().nullish(),
  PidsLimit: z.boolean().nullish(),
  SecurityOptions: names,
});

/** Limits that the engine says it can't set; what it says nothing about counts as possible. */
export function toMissingLimits(info: unknown): EngineInfo["missingLimits"] {
  const { MemoryLimit, CpuCfsQuota, PidsLimit } = InfoSchema.parse(info);
  return [
    ...(MemoryLimit === false ? (["memory"] as const) : []),
    ...(CpuCfsQuota === false ? (["cpus"] as const) : []),
    ...(PidsLimit === false ? (["pids"] as const) : []),
  ];
}

/** Whether containers of this engine get a seccomp profile by default. */
export function hasSeccomp(info: unknown): boolean {
  return InfoSchema.parse(info).SecurityOptions.some(
    (each) => /^name=seccomp(,|$)/.test(each) && !/profile=unconfined/.test(each),
  );
}
