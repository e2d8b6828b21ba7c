import type { FileEntry, FoundFiles, GrepAnswer } from "@clawdspace/protocol";
import type { CommandRunner } from "../processes/command-runner.js";
import type { FileAccess } from "./file-access.js";
import { naming } from "./file-errors.js";
import { globMatcher } from "./glob.js";
import { type GrepRequest, grep } from "./grep.js";
import type { ReadableFiles, TreeEntry } from "./space-files.js";
import { treeOf } from "./tree.js";
import { toEntry } from "./wire.js";
import type { WorkspacePath } from "./workspace-path.js";

/** What a search by name may cost; then it answers with what it has. */
const MAX_FIND_MS = 10_000;
const MAX_LOOKED_AT = 500_000;
const NAMES_A_ROUND = 1000;

export interface FindRequest {
  glob: string;
  type?: FileEntry["type"] | undefined;
  hidden?: boolean | undefined;
  limit: number;
  signal: AbortSignal;
}

/** Searches the files of spaces by name and by content. */
export class SearchService {
  constructor(
    private readonly access: FileAccess,
    private readonly commands: CommandRunner,
  ) {}

  /** Entries below a folder whose name or path a glob matches. Reads a sleeping space without waking it where it is small. */
  async find(space: string, folder: WorkspacePath, request: FindRequest): Promise<FoundFiles> {
    return await this.access.reading(space, (files) =>
      naming(folder, () => find(files, folder, request)),
    );
  }

  /** Lines below a folder, or of a file, that a pattern matches: by a command in the space, which is woken for it. */
  async grep(space: string, place: WorkspacePath, request: GrepRequest): Promise<GrepAnswer> {
    return await this.access.changing(space, (files, entry) =>
      naming(place, async () => {
        await files.stat(place.bytes, { followLinks: true });
        return await grep(this.commands, entry, place, request);
      }),
    );
  }
}

async function find(
  files: ReadableFiles,
  folder: WorkspacePath,
  { glob, type, hidden = true, limit, signal }: FindRequest,
): Promise<FoundFiles> {
  const matches = globMatcher(glob, hidden);
  const entries: FileEntry[] = [];
  const until = Date.now() + MAX_FIND_MS;
  let round: TreeEntry[] = [];
  let lookedAt = 0;
  const endRound = () => {
    const matched = matches(round.map(({ path }) => path.toString("utf8")));
    for (const [at, { path, facts, target }] of round.entries()) {
      if (matched[at]) entries.push(toEntry(folder.join(path), facts, target));
    }
    round = [];
  };
  for await (const entry of treeOf(files, folder.bytes, {
    contents: false,
    signal,
    onLeftOut: () => {},
  })) {
    lookedAt++;
    if (type === undefined || entry.facts.type === type) round.push(entry);
    if (round.length === NAMES_A_ROUND) endRound();
    if (entries.length > limit || Date.now() > until || lookedAt > MAX_LOOKED_AT) {
      endRound();
      return { entries: entries.slice(0, limit), truncated: true };
    }
  }
  endRound();
  return { entries: entries.slice(0, limit), truncated: entries.length > limit };
}
