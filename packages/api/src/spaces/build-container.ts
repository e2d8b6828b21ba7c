import { type ContainerSpec, EngineError } from "../engine/engine.js";
import type { Blueprint } from "./blueprint.js";
import type { ImagePreparer } from "./image-preparer.js";
import type { Leftovers } from "./leftovers.js";
import { type StartParts, startContainer } from "./start-space.js";

export interface BuildParts extends StartParts {
  images: ImagePreparer;
  leftovers: Leftovers;
}

/** Makes a container and starts it; `onCreated` hears its id as soon as there is something to undo. */
export async function buildContainer(
  parts: BuildParts,
  { image, spec }: Blueprint,
  container: ContainerSpec,
  onCreated: (id: string) => void,
): Promise<void> {
  const { images } = parts;
  const [workspace] = container.volumes;
  if (workspace) await images.seedVolume(image, workspace.source, workspace.labels);
  const id = await create(parts, container);
  onCreated(id);
  await images.adapt(id, image, spec);
  await startContainer(parts, id, spec);
}

/** A name that is taken belongs to what an earlier daemon left unfinished; that is swept first. */
async function create({ engine, leftovers }: BuildParts, container: ContainerSpec) {
  try {
    return await engine.createContainer(container);
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== "conflict") throw error;
    await leftovers.sweep();
    return await engine.createContainer(container);
  }
}
