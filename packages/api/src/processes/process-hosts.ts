import { isAbsolute, resolve } from "node:path";
import { ClawdspaceError, type ExecRequest } from "@clawdspace/protocol";
import type { Engine } from "../engine/engine.js";
import type { GuestProcessSpec } from "../guest/types.js";
import { WORKSPACE } from "../spaces/container-spec.js";
import type { EnvStore } from "../spaces/env-store.js";
import type { Guests } from "../spaces/guests.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { EngineProcessHost } from "./engine-process-host.js";
import { processEnv } from "./process-env.js";
import type { ProcessHost } from "./process-host.js";

type Command = Pick<ExecRequest, "command" | "cwd" | "env" | "user">;

/** Finds where a space's processes run, and says how a requested command is started there. */
export class ProcessHosts {
  readonly #engineHosts = new Map<string, EngineProcessHost>();

  constructor(
    private readonly engine: Engine,
    private readonly guests: Guests,
    private readonly envs: EnvStore,
  ) {}

  /** @param user "root" only where the space's spec allows it. Throws `forbidden` where it does not. */
  async of(entry: SpaceEntry, user: ExecRequest["user"] = "sandbox"): Promise<ProcessHost> {
    if (user === "root" && !entry.spec.allowRoot) {
      throw new ClawdspaceError(
        "forbidden",
        `Space "${entry.name}" runs commands as the user "sandbox" only. A template with security.allowRoot allows "root".`,
      );
    }
    if (user === "sandbox" && entry.spec.guest) return await this.guests.of(entry);
    return this.#engineHost(entry, user);
  }

  /** Every host that may have processes of a space. The first one is where commands run that ask for no user. */
  async all(entry: SpaceEntry): Promise<ProcessHost[]> {
    const first = await this.of(entry);
    return entry.spec.allowRoot ? [first, this.#engineHost(entry, "root")] : [first];
  }

  #engineHost(entry: SpaceEntry, user: "sandbox" | "root"): EngineProcessHost {
    const key = `${entry.id}:${user}`;
    const known = this.#engineHosts.get(key);
    if (known) return known;
    const host = new EngineProcessHost(this.engine, entry.id, user);
    this.#engineHosts.set(key, host);
    return host;
  }

  /** A command as the process it becomes: a string through `sh -c`, an array as it is. */
  async spec(
    entry: SpaceEntry,
    command: Command,
  ): Promise<Pick<GuestProcessSpec, "argv" | "env"> & { cwd: string }> {
    const { cwd = "." } = command;
    return {
      argv:
        typeof command.command === "string" ? ["/bin/sh", "-c", command.command] : command.command,
      env: processEnv(entry.imageEnv, await this.envs.of(entry), command.env, command.user),
      cwd: isAbsolute(cwd) ? cwd : resolve(WORKSPACE, cwd),
    };
  }

  /** Lets go of what is kept of a space's processes, as when it stopped or is gone. */
  forget(entry: SpaceEntry): void {
    for (const user of ["sandbox", "root"]) {
      const key = `${entry.id}:${user}`;
      this.#engineHosts.get(key)?.close();
      this.#engineHosts.delete(key);
    }
  }
}
