import { ClawdspaceError } from "@clawdspace/protocol";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { type Connection, parse, type Query, type Schema } from "./connection.js";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

/** Whether events come, or the connection was lost and is being made again. */
export type StreamState = "open" | "reconnecting";

export interface FollowOptions {
  signal?: AbortSignal | undefined;
  onState?: ((state: StreamState) => void) | undefined;
}

/** The server-sent events of one answer. */
async function* messages(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<EventSourceMessage> {
  const decoder = new TextDecoder();
  let ready: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => ready.push(event) });
  for await (const piece of pieces) {
    parser.feed(decoder.decode(piece, { stream: true }));
    const events = ready;
    ready = [];
    yield* events;
  }
}

/**
 * Follows a route of server-sent events over lost connections and restarts of the daemon: each new request tells the id
 * of the last event. `missed` is said after a reconnect where a stream has no ids to go on from.
 */
export async function* followEvents<T>(
  connection: Connection,
  schema: Schema<T>,
  path: string,
  {
    query,
    lastEventId,
    missed,
    signal,
    onState,
  }: FollowOptions & { query: Query; lastEventId?: string | undefined; missed?: T },
): AsyncGenerator<T> {
  let last = lastEventId;
  let pauses = 0;
  let opened = false;
  for (;;) {
    try {
      const headers = { accept: "text/event-stream", "last-event-id": last };
      const answer = await connection.send("GET", path, { query, headers, signal });
      onState?.("open");
      if (opened && missed !== undefined) yield missed;
      opened = true;
      for await (const { id, event, data } of messages(connection.pieces(answer, signal))) {
        pauses = 0;
        if (id !== undefined) last = id;
        if (event === "closed") {
          throwIfTold(data);
          break;
        }
        yield parse(schema, data, `GET ${path}`);
      }
    } catch (error) {
      if (!mayPass(error)) throw error;
    }
    signal?.throwIfAborted();
    onState?.("reconnecting");
    await pause(Math.min(FIRST_PAUSE_MS * 2 ** pauses, LONGEST_PAUSE_MS), signal);
    pauses += 1;
  }
}

function throwIfTold(data: string): void {
  const { error, code } = JSON.parse(data) as { error?: string; code?: string };
  if (error !== undefined && code !== undefined) {
    throw new ClawdspaceError(code as ClawdspaceError["code"], error);
  }
}

/** Whether the same request may succeed in a while. */
export function mayPass(error: unknown): boolean {
  if (!(error instanceof ClawdspaceError)) return false;
  return ["unreachable", "engine_unavailable", "timed_out", "rate_limited"].includes(error.code);
}

/** Waits; rejects with the signal's reason where it aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

export const pauseBefore = (attempt: number, signal?: AbortSignal) =>
  pause(Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS), signal);
