import { PayloadReader, PayloadWriter } from "./payload.js";
import { GuestError, type GuestPort, type GuestTableEntry } from "./types.js";

export const TABLE_REQUEST = new PayloadWriter().u8(9).finish();
export const PORTS_REQUEST = new PayloadWriter().u8(10).finish();

const MAX_ARGV = 1024;
const MAX_COMM = 64;
const MAX_DATE_MS = 8.64e15;

function processId(reader: PayloadReader): { processId?: string } {
  return reader.u8() === 0 ? {} : { processId: reader.raw(16).toString("hex") };
}

/** The space's process table, as the space tells it. */
export function decodeTable(payload: Buffer): GuestTableEntry[] {
  const reader = new PayloadReader(payload);
  const entries: GuestTableEntry[] = [];
  while (!reader.done) {
    const pid = reader.u32();
    const ppid = reader.u32();
    const sessionId = reader.u32();
    const uid = reader.u32();
    const state = String.fromCharCode(reader.u8());
    const threads = reader.u32();
    const cpuMs = reader.size();
    const rssBytes = reader.size();
    const startedAt = new Date(Math.min(reader.size(), MAX_DATE_MS));
    const owner = processId(reader);
    const comm = reader.bytes(MAX_COMM);
    const argv = splitArgv(reader.bytes(MAX_ARGV), comm);
    entries.push({
      pid,
      ppid,
      uid,
      state,
      sessionId,
      cpuMs,
      rssBytes,
      threads,
      startedAt,
      argv,
      ...owner,
    });
  }
  return entries;
}

/** Words end with zero bytes; a process without any is named by its comm in brackets. */
function splitArgv(words: Buffer, comm: Buffer): Buffer[] {
  if (words.length === 0) return [Buffer.concat([Buffer.from("["), comm, Buffer.from("]")])];
  const argv: Buffer[] = [];
  for (let at = 0; at < words.length; ) {
    const zero = words.indexOf(0, at);
    const end = zero < 0 ? words.length : zero;
    argv.push(Buffer.from(words.subarray(at, end)));
    at = end + 1;
  }
  return argv;
}

/** The TCP ports that listen in the space. */
export function decodePorts(payload: Buffer): GuestPort[] {
  const reader = new PayloadReader(payload);
  const ports: GuestPort[] = [];
  while (!reader.done) {
    const port = reader.u16();
    const family = reader.u8();
    const raw = reader.raw(16);
    if (family !== 4 && family !== 6) {
      throw new GuestError("protocol", "The guest agent told of an unknown address family");
    }
    const address = family === 4 ? raw.subarray(0, 4).join(".") : formatV6(raw);
    const pid = reader.u32();
    ports.push({ port, address, ...(pid === 0 ? {} : { pid }), ...processId(reader) });
  }
  return ports;
}

/** The usual short form: the longest run of zero groups becomes "::". */
function formatV6(raw: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => raw.readUInt16BE(i * 2).toString(16));
  const text = groups.join(":");
  const runs = text.match(/(?:^|:)0(?::0)+(?=:|$)/g) ?? [];
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), "");
  if (longest === "") return text;
  const at = text.indexOf(longest);
  return `${text.slice(0, at)}::${text.slice(at + longest.length).replace(/^:/, "")}`;
}
