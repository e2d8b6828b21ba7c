import { setTimeout as delay } from "node:timers/promises";
import { ClawdspaceError, type WatchEvent } from "@clawdspace/protocol";
import type { GuestWatchEvent } from "../guest/types.js";
import type { Guests } from "../spaces/guests.js";
import type { SpaceService } from "../spaces/space-service.js";
import { naming } from "./file-errors.js";
import { WatchRound } from "./watch-events.js";
import type { WorkspacePath } from "./workspace-path.js";

/** What happens within this time is told together. */
const ROUND_MS = 50;

/** Follows changes to the files of spaces. */
export class WatchService {
  constructor(
    private readonly spaces: Pick<SpaceService, "acquire">,
    private readonly guests: Guests,
  ) {}

  /**
   * Watches a folder or file; resolves when changes from now on are noticed. The space is woken for that, not kept awake:
   * nothing changes while it sleeps, so a pause merely silences the watch. Rounds of changes come at the reader's pace;
   * they end when the space stops. Throws `unprocessable` for a space without a guest agent.
   */
  async watch(
    space: string,
    path: WorkspacePath,
    options: { recursive: boolean; signal: AbortSignal },
  ): Promise<AsyncGenerator<WatchEvent[]>> {
    const { entry, release } = await this.spaces.acquire(space);
    try {
      if (!entry.spec.guest) {
        throw new ClawdspaceError(
          "unprocessable",
          `Space "${space}" runs without a guest agent, which a watch needs. Ask for the listing again instead.`,
        );
      }
      const guest = await this.guests.of(entry);
      const { recursive, signal } = options;
      return rounds(await naming(path, () => guest.watch(path.bytes, { recursive }, signal)));
    } finally {
      release();
    }
  }
}

/** Changes gathered while the reader is busy and for a moment more, so never more than a round holds. */
async function* rounds(events: AsyncIterable<GuestWatchEvent>): AsyncGenerator<WatchEvent[]> {
  const round = new WatchRound();
  const iterator = events[Symbol.asyncIterator]();
  let wake = () => {};
  let ended = false;
  const gathering = (async () => {
    try {
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
        round.add(next.value);
        wake();
      }
    } finally {
      ended = true;
      wake();
    }
  })();
  // Awaited below, once everything that came before has been told.
  gathering.catch(() => {});
  try {
    while (!ended || !round.isEmpty) {
      if (round.isEmpty) await new Promise<void>((resolve) => (wake = resolve));
      if (!ended) await delay(ROUND_MS);
      if (!round.isEmpty) yield round.take();
    }
    await gathering;
  } finally {
    await iterator.return?.();
  }
}
