import type { WatchEvent } from "@clawdspace/protocol";
import type { GuestWatchEvent } from "../guest/types.js";
import { WorkspacePath } from "./workspace-path.js";

/** What is pending for one reader at most; past it the reader is told to look again instead. */
const MAX_PENDING = 2000;

/** As what inotify tells of a file that has no name yet, such as one that is still uploaded. */
const NAMELESS = /(^|\/)#\d+$/;

type Change = Exclude<GuestWatchEvent, { type: "overflow" }>;

/** Gathers what happens in a moment and tells the sum of it: a file that was written ten times is modified once. */
export class WatchRound {
  /** In the order they came; undefined where a later one has made one meaningless. */
  #changes: (Change | undefined)[] = [];
  /** Where in #changes the last one of each path is. */
  readonly #last = new Map<string, number>();
  #overflow = false;
  #pending = 0;

  get isEmpty(): boolean {
    return this.#pending === 0 && !this.#overflow;
  }

  add(event: GuestWatchEvent): void {
    if (this.#overflow) return;
    if (event.type === "modified" && NAMELESS.test(event.path.toString("latin1"))) return;
    if (event.type === "overflow" || this.#pending === MAX_PENDING) {
      this.#clear();
      this.#overflow = true;
      return;
    }
    const key = event.path.toString("latin1");
    const at = this.#last.get(key) ?? -1;
    const before = this.#changes[at]?.type;
    if (event.type === "modified" && (before === "created" || before === "modified")) return;
    if (event.type === "removed" && (before === "created" || before === "modified")) {
      this.#changes[at] = undefined;
      this.#last.delete(key);
      this.#pending--;
      if (before === "created") return;
    }
    // What comes behind a rename under the old name is another file.
    if (event.type === "renamed") this.#last.delete(event.from.toString("latin1"));
    this.#last.set(key, this.#changes.push(event) - 1);
    this.#pending++;
  }

  /** Everything gathered, as the wire tells it; the round is empty then. */
  take(): WatchEvent[] {
    const events = this.#overflow
      ? [{ type: "overflow" as const }]
      : this.#changes.filter((change) => change !== undefined).map(toWire);
    this.#clear();
    this.#overflow = false;
    return events;
  }

  #clear(): void {
    this.#changes = [];
    this.#last.clear();
    this.#pending = 0;
  }
}

function toWire(change: Change): WatchEvent {
  const { path, pathBase64 } = WorkspacePath.fromBytes(change.path).toFields();
  const fields = { path, ...(pathBase64 ? { pathBase64 } : {}), dir: change.dir };
  if (change.type !== "renamed") return { type: change.type, ...fields };
  const from = WorkspacePath.fromBytes(change.from).toFields();
  return {
    type: "renamed",
    from: from.path,
    ...(from.pathBase64 ? { fromBase64: from.pathBase64 } : {}),
    ...fields,
  };
}
