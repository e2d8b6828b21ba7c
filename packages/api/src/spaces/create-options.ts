import type {
  ClawdspaceError,
  CreateSpaceEvent,
  CreateSpaceRequest,
  Template,
} from "@clawdspace/protocol";
import type { SpaceEntry } from "./space-entry.js";

export type CreateProgress = (event: Extract<CreateSpaceEvent, { type: "progress" }>) => void;

export interface CreateOptions {
  signal: AbortSignal;
  onProgress: CreateProgress;
  /** The node was chosen for its room, so that the space has to fit into what is left of it. */
  placed?: boolean;
}

/** As the making of a space takes them. */
export interface MakeOptions extends CreateOptions {
  /** Told what failed in a space that is kept all the same. */
  onKept: (failure: ClawdspaceError) => void;
}

/** What a new space gets once its container runs: env, files, a repository, its set-up. It fails the create where it throws. */
export type Furnish = (
  entry: SpaceEntry,
  request: CreateSpaceRequest,
  template: Template,
  options: MakeOptions,
) => Promise<void>;
