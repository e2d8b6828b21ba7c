import { Clawdspace, ClawdspaceError, type Space, type SpaceHandle } from "@clawdspace/client";
import { requireAllowed } from "../access.js";
import type { PluginConfig } from "../config.js";
import { defined } from "../parameters.js";
import type { BackendRequest } from "./seam.js";
import { seed } from "./seed.js";
import { Skills } from "./skills.js";
import { spaceName } from "./space-name.js";

/** The spaces that serve as sandboxes: made on demand, found again by their names. */
export class Sandboxes {
  readonly #making = new Map<string, Promise<void>>();
  readonly #skills = new Skills();

  /** @param config asked for each time, as settings may change */
  constructor(private readonly config: () => PluginConfig) {}

  /** The space of a scope, made and filled where there is none. Throws `ClawdspaceError`, `ToolInputError`. */
  async provide(request: BackendRequest): Promise<SpaceHandle> {
    const { scopeKey, workspaceDir, registeredRuntimeIds = [] } = request;
    const own = spaceName(this.config().sandbox.namePrefix, scopeKey, workspaceDir);
    // One from before serves on, also where it would be named otherwise now.
    const name = registeredRuntimeIds.includes(own) ? own : (registeredRuntimeIds.at(-1) ?? own);
    const space = this.named(name);
    let making = this.#making.get(name);
    if (making === undefined) {
      making = this.#ensure(space, request).finally(() => this.#making.delete(name));
      this.#making.set(name, making);
    }
    await making;
    return space;
  }

  /** A space that the plugin's lists allow; the daemon finds it on whichever node it is. */
  named(name: string): SpaceHandle {
    const config = this.config();
    requireAllowed(name, config);
    return this.#client(config).space(name);
  }

  /** What a process needs to reach the same daemon. */
  get address(): { baseUrl: string; key?: string } {
    const config = this.config();
    const { apiKey: key } = config;
    return { baseUrl: baseUrlOf(config), ...(key === undefined ? {} : { key }) };
  }

  async #ensure(
    space: SpaceHandle,
    { scopeKey, workspaceDir, skillsWorkspaceDir, cfg }: BackendRequest,
  ): Promise<void> {
    const { id } = (await find(space)) ?? (await this.#make(space.name, scopeKey, workspaceDir));
    // Otherwise the host puts them into the workspace itself.
    if (cfg.workspaceAccess === "rw" && skillsWorkspaceDir !== undefined) {
      await this.#skills.bring(space, id, skillsWorkspaceDir);
    }
  }

  async #make(name: string, scopeKey: string, workspaceDir: string): Promise<Space> {
    const config = this.config();
    const { template, node, memory, cpus } = config.sandbox;
    const isElsewhere = node !== undefined && !Object.hasOwn(config.nodeMap, node);
    const made = await this.#client(config).spaces.create({
      name,
      ...defined({ template, memory, cpus, node: isElsewhere ? node : undefined }),
      description: `Sandbox of ${scopeKey}`.slice(0, 1000),
      labels: { "openclaw.scope": scopeKey.slice(0, 256) },
    });
    if (config.sandbox.seed) await seed(made, workspaceDir);
    return made.info ?? (await made.get());
  }

  #client(config: PluginConfig): Clawdspace {
    const { apiKey: key, timeoutMs } = config;
    return new Clawdspace({ baseUrl: baseUrlOf(config), key, timeoutMs });
  }
}

async function find(space: SpaceHandle): Promise<Space | undefined> {
  try {
    return await space.get();
  } catch (error) {
    if (error instanceof ClawdspaceError && error.code === "not_found") return undefined;
    throw error;
  }
}

/** A node of the configured map is asked itself; any other is reached by way of the one daemon. */
function baseUrlOf({ baseUrl, nodeMap, sandbox: { node } }: PluginConfig): string {
  return (
    (node !== undefined && Object.hasOwn(nodeMap, node) ? nodeMap[node] : undefined) ?? baseUrl
  );
}
