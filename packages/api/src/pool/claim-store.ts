import { mkdirSync, writeFileSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Engine } from "../engine/engine.js";
import { LABEL, type Names } from "../spaces/names.js";
import { SpaceSpecSchema } from "../spaces/space-spec.js";

const ClaimSchema = z.object({
  space: z.string(),
  containerId: z.string(),
  createId: z.string(),
  createdAt: z.iso.datetime(),
  /** The volume that the container has on its workspace; the space's own volume is another name of it. */
  volume: z.string(),
  mountpoint: z.string(),
  spec: SpaceSpecSchema,
});
/** That a container of the pool has become a space, and which: what labels would say if those of a container could change. */
export type Claim = z.infer<typeof ClaimSchema>;

/**
 * Claims, each told twice: by a label of the space's volume, so that the engine alone tells what is there, and by a file
 * of the daemon, since an engine's clean-up takes volumes that no container mounts by their name.
 */
export class ClaimStore {
  constructor(
    private readonly engine: Engine,
    private readonly names: Names,
    private readonly folder: string,
  ) {}

  /** Writes the file of a claim that is about to be made. */
  async write(claim: Claim): Promise<void> {
    // Synchronous, since the create waits for it: a tenth of what going through a thread takes.
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    writeFileSync(this.#file(claim.containerId), JSON.stringify(claim), { mode: 0o600 });
  }

  /** Makes the volume that a claimed space is known by; returns whether there was none. */
  async name(claim: Claim): Promise<boolean> {
    const { names } = this;
    const labels = {
      ...names.ours,
      [LABEL.space]: claim.space,
      [LABEL.create]: claim.createId,
      [LABEL.backing]: claim.volume,
      [LABEL.claim]: JSON.stringify(claim),
    };
    const volume = await this.engine.createVolume(
      names.volume(claim.space),
      labels,
      claim.mountpoint,
    );
    return volume.labels[LABEL.create] === claim.createId;
  }

  /** The claim of a container that has the name of a space; undefined where nothing tells of one. */
  async of(containerId: string, space: string): Promise<Claim | undefined> {
    const file = await readFile(this.#file(containerId), "utf8").catch(() => undefined);
    const claim = parse(file);
    if (claim?.space === space) return claim;
    const volume = await this.engine.findVolume(this.names.volume(space));
    const label = parse(volume?.labels[LABEL.claim]);
    return label?.containerId === containerId ? label : undefined;
  }

  async remove(containerId: string): Promise<void> {
    await rm(this.#file(containerId), { force: true });
  }

  /** As `EnvStore.sweeper`. */
  async sweeper(): Promise<(live: Set<string>) => Promise<void>> {
    const files = await readdir(this.folder).catch(() => []);
    return async (live) => {
      for (const file of files) {
        if (!live.has(file.replace(/\.json$/, "")))
          await rm(join(this.folder, file), { force: true });
      }
    };
  }

  #file = (id: string) => join(this.folder, `${id}.json`);
}

function parse(text: string | undefined): Claim | undefined {
  if (text === undefined) return undefined;
  try {
    return ClaimSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
