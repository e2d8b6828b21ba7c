import type { AuditEvent } from "@clawdspace/protocol";
import type { HistoryFacts } from "./history-file.js";
import { parseHistory, type ShellCommand } from "./history-parse.js";
import type { HistoryPlace, HistoryState } from "./history-state.js";
import { maskSecrets } from "./mask.js";
import type { Recorder } from "./recorder.js";

export const SHELL_EVENT = "space.shell";

/** Read and logged at once, so that a space that writes without end costs no more than this a round. */
const MAX_BYTES = 256 * 1024;
const MAX_COMMANDS = 200;
/** A space that is further ahead than this is not caught up with: the log says how much was left out. */
const MAX_BEHIND_BYTES = 4 * 1024 ** 2;
const TAIL_BYTES = 64;
/** A file that was written to this recently may be in the middle of a command. */
const SETTLED_MS = 1000;
/** How many logged commands a file that was written anew is compared with. */
const COMPARED = 1000;

interface History {
  stat(): Promise<HistoryFacts | undefined>;
  read(offset: number, length: number): Promise<Buffer>;
}

/** Takes what is new in the shell history of a space into the audit log: every command once, over restarts too. */
export class HistoryReader {
  /** The spaces whose place has been compared with the log since the daemon started. */
  readonly #compared = new Set<string>();

  /** @param savedId the last event that the saved places know of. */
  constructor(
    private readonly recorder: Pick<Recorder, "append" | "log">,
    private readonly state: HistoryState,
    private readonly savedId: number,
  ) {}

  /**
   * Reads what was added to a history.
   * @param asleep nothing in the space runs, so nothing is being added.
   * @returns whether all that is there has been read.
   */
  async read(space: string, file: History, asleep: boolean): Promise<boolean> {
    const facts = await file.stat();
    if (!facts) {
      const known = this.state.get(space);
      if (known) this.state.set(space, { ...known, offset: 0, size: 0, tail: "", rewritten: true });
      return true;
    }
    const place = await this.#placeOf(space);
    const same = facts.size === place.size && facts.mtimeMs === place.mtimeMs;
    if (same && (place.stuck || place.offset === facts.size)) return true;
    if (facts.size < place.offset) Object.assign(place, { offset: 0, tail: "", rewritten: true });
    await this.#skip(space, place, facts);

    const from = Math.max(0, place.offset - TAIL_BYTES);
    const data = await file.read(from, place.offset - from + MAX_BYTES);
    const before = data.subarray(0, place.offset - from);
    if (place.tail !== undefined && place.tail !== before.toString("base64")) {
      // Another file under the same name: read from its start in the next round.
      this.state.set(space, { offset: 0, size: -1, mtimeMs: 0, tail: "", rewritten: true });
      return false;
    }
    const piece = data.subarray(before.length);
    const whole = place.offset + piece.length >= facts.size;
    const settled = whole && (asleep || Date.now() - facts.mtimeMs > SETTLED_MS);
    const parsed = parseHistory(piece, place.offset, { settled, max: MAX_COMMANDS });
    const commands = place.rewritten
      ? await this.#unknown(space, parsed.commands)
      : parsed.commands;
    const logged = await this.#log(space, commands);
    const end = this.#end(logged ?? parsed.end, place.offset, piece);
    const tail = Buffer.concat([before, piece.subarray(0, end - place.offset)]).subarray(
      -TAIL_BYTES,
    );
    const more = end < facts.size;
    const stuck = settled && logged === undefined && end === place.offset;
    this.state.set(space, {
      offset: end,
      tail: tail.toString("base64"),
      ...facts,
      ...(place.rewritten && more ? { rewritten: true } : {}),
      ...(more && stuck ? { stuck } : {}),
    });
    return !more || stuck;
  }

  /** What was saved, unless the daemon ended before it could save what it had logged last. */
  async #placeOf(space: string): Promise<HistoryPlace> {
    const saved = this.state.get(space) ?? { offset: 0, size: -1, mtimeMs: 0 };
    if (this.#compared.has(space)) return { ...saved };
    this.#compared.add(space);
    const filter = { space, type: SHELL_EVENT, after: this.savedId };
    const [last] = await this.recorder.log.newest(filter, 1);
    const end = last?.meta?.end;
    if (typeof end !== "number" || end === saved.offset || saved.rewritten) return { ...saved };
    return { offset: end, size: -1, mtimeMs: 0 };
  }

  async #skip(space: string, place: HistoryPlace, { size }: HistoryFacts): Promise<void> {
    const behind = size - place.offset;
    if (behind <= MAX_BEHIND_BYTES) return;
    const bytes = behind - MAX_BYTES;
    const meta = { bytes, source: "bash_history", end: place.offset + bytes };
    await this.recorder.append({ type: "space.shell.skipped", space, meta });
    place.offset += bytes;
    place.tail = undefined;
  }

  /** Those of a file written anew that the log doesn't have yet. */
  async #unknown(space: string, commands: ShellCommand[]): Promise<ShellCommand[]> {
    const known = await this.recorder.log.newest({ space, type: SHELL_EVENT }, COMPARED);
    const left = new Map<string, number>();
    for (const { meta } of known) {
      const key = `${meta?.at} ${meta?.command}`;
      left.set(key, (left.get(key) ?? 0) + 1);
    }
    return commands.filter((each) => {
      const key = `${each.at?.toISOString()} ${maskSecrets(each.command)}`;
      const count = left.get(key) ?? 0;
      left.set(key, count - 1);
      return count <= 0;
    });
  }

  /** Returns up to where the commands are logged, where that is not all of them. */
  async #log(space: string, commands: ShellCommand[]): Promise<number | undefined> {
    const events = commands.map(({ command, at, end }) =>
      this.recorder.append({
        type: SHELL_EVENT,
        space,
        meta: {
          command,
          ...(at ? { at: at.toISOString() } : {}),
          source: "bash_history",
          end,
        },
      }),
    );
    const results: PromiseSettledResult<AuditEvent>[] = await Promise.allSettled(events);
    const failed = results.findIndex(({ status }) => status === "rejected");
    return failed < 0 ? undefined : (commands[failed - 1]?.end ?? -1);
  }

  /** Where to go on. A command that is longer than what is read at once is passed over with what was read. */
  #end(end: number, offset: number, piece: Buffer): number {
    if (end < 0) return offset;
    return end === offset && piece.length >= MAX_BYTES ? offset + piece.length : end;
  }
}
