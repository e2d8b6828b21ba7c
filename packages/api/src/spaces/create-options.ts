import type { CreateSpaceEvent, CreateSpaceRequest, Template } from "@clawdspace/protocol";
import type { SpaceEntry } from "./space-entry.js";

export type CreateProgress = (event: Extract<CreateSpaceEvent, { type: "progress" }>) => void;

export interface CreateOptions {
  signal: AbortSignal;
  onProgress: CreateProgress;
}

/** What a new space gets once its container runs: env, files, a repository, its set-up. It fails the create where it throws. */
export type Furnish = (
  entry: SpaceEntry,
  request: CreateSpaceRequest,
  template: Template,
  options: CreateOptions,
) => Promise<void>;
