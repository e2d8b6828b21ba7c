import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ClawdspaceError, parseJson } from "@clawdspace/protocol";
import { z } from "zod";
import type { Engine, EngineInfo } from "../engine/engine.js";
import type { SpaceSpec } from "./space-spec.js";

/** As much of a seccomp profile as tells one from any other JSON. */
const SeccompProfileSchema = z.looseObject({
  defaultAction: z.string().startsWith("SCMP_ACT_"),
  syscalls: z.array(z.looseObject({ action: z.string().startsWith("SCMP_ACT_") })).optional(),
});

/** Sees to it that the engine can confine a space as its spec says, before the space is made. */
export class Isolation {
  constructor(
    private readonly engine: Pick<Engine, "info">,
    /** Holds the seccomp profiles that templates name. */
    private readonly configDir: string,
  ) {}

  /** Throws `unprocessable` with what the engine can't do. Returns the seccomp profile to use in place of the engine's. */
  async check(spec: SpaceSpec, node: EngineInfo): Promise<string | undefined> {
    const known = spec.runtime === undefined || node.runtimes.includes(spec.runtime);
    // Runtimes are added while the engine runs.
    const current = known ? node : await this.engine.info();
    const fault = isolationFault(spec, current);
    if (fault) throw refused(fault);
    return spec.seccomp === undefined ? undefined : await this.#profile(spec.seccomp);
  }

  async #profile(name: string): Promise<string> {
    const file = join(this.configDir, name);
    const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
      throw refused(`security.seccomp names ${file}, which can't be read (${cause.code})`);
    });
    const parsed = SeccompProfileSchema.safeParse(parseJson(text));
    if (parsed.success) return JSON.stringify(parsed.data);
    throw refused(`security.seccomp names ${file}, which holds no seccomp profile`);
  }
}

/** What keeps an engine from confining a space as its spec says; undefined where nothing does. */
export function isolationFault(spec: SpaceSpec, node: EngineInfo): string | undefined {
  const [missing] = node.missingLimits;
  if (missing) return `the engine can't limit ${missing}; its kernel or cgroups lack support`;
  if (spec.runtime !== undefined && !node.runtimes.includes(spec.runtime)) {
    return `security.runtime is "${spec.runtime}", and the engine has ${node.runtimes.join(", ")}`;
  }
  if (!node.seccomp && spec.seccomp === undefined) {
    return "the engine gives containers no seccomp profile by default; name one in security.seccomp";
  }
  return undefined;
}

const refused = (reason: string) =>
  new ClawdspaceError(
    "unprocessable",
    `The space can't be isolated as it should, so it was not made: ${reason}.`,
  );
