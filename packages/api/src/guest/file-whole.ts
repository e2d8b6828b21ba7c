import { decodeReadEnd, decodeStat, encodeRead, encodeWrite } from "./file-codec.js";
import { MAX_PAYLOAD } from "./frames.js";
import type { GuestLink } from "./link.js";
import type { GuestSession } from "./session.js";
import { GuestError, type GuestPath, type GuestStat, type GuestWriteOptions } from "./types.js";

// A folder of small files is thousands of these. Each is one exchange, and no stream.

/** The first `maxBytes` of a file, in memory. */
export async function readWhole(
  link: GuestLink,
  path: GuestPath,
  { maxBytes, signal }: { maxBytes: number; signal?: AbortSignal },
): Promise<{ stat: GuestStat; data: Buffer; truncated: boolean }> {
  const what = `read ${path.toString()}`;
  // No more than it can use: what else begins meanwhile is as fast as what is left allows.
  const window = link.budget.take(Math.max(1, maxBytes));
  const parts: Buffer[] = [];
  let stat: GuestStat | undefined;
  let [received, credited] = [0, 0];
  let credit = (_consumed: number): void => {};
  const lies = (how: string) => new GuestError("protocol", `The guest agent ${how}: ${what}`);
  try {
    const request = encodeRead(path, { length: maxBytes }, window);
    return await link.request(
      what,
      request,
      (end) => {
        if (!stat || decodeReadEnd(end) !== received) throw lies("lost bytes");
        const truncated = stat.size > received && received === maxBytes;
        return { stat, data: Buffer.concat(parts), truncated };
      },
      {
        signal,
        begun: (session, id) => {
          credit = (consumed) => session.credit(id, consumed);
        },
        stream: {
          opened: (payload) => {
            if (stat) throw lies("opened twice");
            stat = decodeStat(payload);
          },
          data: (_flags, payload) => {
            received += payload.length;
            const tooMuch = received > Math.min(credited + window, maxBytes);
            if (!stat || payload.length === 0 || tooMuch) throw lies("sent what was not asked for");
            parts.push(payload);
            if (received - credited < window / 4) return;
            credited = received;
            credit(received);
          },
        },
      },
    );
  } finally {
    link.budget.give(window);
  }
}

/** Replaces or makes a file. @param data no more than may be sent before the guest's first credit */
export async function writeWhole(
  link: GuestLink,
  path: GuestPath,
  data: Buffer,
  options: GuestWriteOptions,
): Promise<GuestStat> {
  const what = `write ${path.toString()}`;
  const send = (session: GuestSession, id: number): void => {
    for (let at = 0; at < data.length; at += MAX_PAYLOAD) {
      session.data(id, data.subarray(at, at + MAX_PAYLOAD));
    }
    session.end(id);
  };
  const credit = (count: number): void => {
    if (count > data.length) {
      throw new GuestError("protocol", `The guest agent took the impossible: ${what}`);
    }
  };
  const { signal } = options;
  const all = { signal, timeoutMs: null, begun: send, stream: { credit } };
  return await link.request(what, encodeWrite(path, options), decodeStat, all);
}
