import { constants } from "node:os";
import { PayloadReader, PayloadWriter } from "./payload.js";
import {
  GuestError,
  type GuestExit,
  type GuestOnFull,
  type GuestPath,
  type GuestProcessInfo,
  type GuestProcessSpec,
  type GuestResourceLimit,
} from "./types.js";

const Operation = {
  start: 2,
  list: 3,
  output: 4,
  stdin: 5,
  resize: 6,
  signal: 7,
  forget: 8,
} as const;

const FLAG_PTY = 1;
const FLAG_STDIN = 2;
const FLAG_BLOCK = 4;
const FLAG_FOLLOW = 8;
const ID_BYTES = 16;
const MAX_META = 16 << 10;
const NO_LIMIT = 0xffff_ffff_ffff_ffffn;

// Linux's numbers.
const RESOURCES: Record<GuestResourceLimit["resource"], number> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
};

const ON_FULL: Record<GuestOnFull, number> = { block: FLAG_BLOCK, drop: 0, follow: FLAG_FOLLOW };

const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
);

function operation(number: number, id: string): PayloadWriter {
  if (!/^[0-9a-f]{32}$/.test(id)) {
    throw new GuestError("invalid", `A process id has 32 hex digits, received "${id}"`);
  }
  return new PayloadWriter().u8(number).raw(Buffer.from(id, "hex"));
}

/** Throws "invalid" for what no kernel could start. */
export function encodeStart(id: string, spec: GuestProcessSpec): Buffer {
  const { pty, limits = [] } = spec;
  if (spec.argv.length === 0) throw new GuestError("invalid", "A command has at least one word");
  if ((spec.meta?.length ?? 0) > MAX_META) {
    throw new GuestError("invalid", `meta has at most ${MAX_META} bytes`);
  }
  const env = Object.entries(spec.env);
  const writer = operation(Operation.start, id)
    .u8((pty ? FLAG_PTY : 0) | (spec.stdin ? FLAG_STDIN : 0) | ON_FULL[spec.onFull])
    .u16(clampSize(pty?.cols ?? 0))
    .u16(clampSize(pty?.rows ?? 0))
    .u32(spec.ringBytes ?? 1 << 20)
    .u16(Math.min(spec.lingerMs ?? 100, 0xffff))
    .bytes(zeroFree(spec.cwd, "cwd"))
    .u8(limits.length);
  for (const limit of limits) {
    writer
      .u8(RESOURCES[limit.resource])
      .u64(Number.isFinite(limit.soft) ? limit.soft : NO_LIMIT)
      .u64(Number.isFinite(limit.hard) ? limit.hard : NO_LIMIT);
  }
  writer.u32(spec.argv.length).u32(env.length);
  for (const word of spec.argv) writer.bytes(zeroFree(word, "argv"));
  for (const [name, value] of env) writer.bytes(zeroFree(`${name}=${value}`, "env"));
  return writer.bytes(spec.meta ?? Buffer.alloc(0)).finish();
}

function clampSize(value: number): number {
  return Math.max(0, Math.min(Math.trunc(value) || 0, 0xffff));
}

function zeroFree(value: GuestPath, what: string): GuestPath {
  if (value.includes("\0")) throw new GuestError("invalid", `${what} holds a zero byte`);
  return value;
}

export function decodeStarted(payload: Buffer): { pid: number } {
  return { pid: new PayloadReader(payload).u32() };
}

export function encodeOutput(id: string, fromOffset: number, window: number): Buffer {
  return operation(Operation.output, id).u64(fromOffset).u32(window).finish();
}

/** Offset undefined: after whatever the guest has already. */
export function encodeStdin(id: string, offset: number | undefined): Buffer {
  return operation(Operation.stdin, id)
    .u64(offset ?? NO_LIMIT)
    .finish();
}

export function decodeStdin(payload: Buffer): { received: number; consumed: number } {
  const reader = new PayloadReader(payload);
  return { received: reader.size(), consumed: reader.size() };
}

export function encodeResize(id: string, cols: number, rows: number): Buffer {
  return operation(Operation.resize, id).u16(clampSize(cols)).u16(clampSize(rows)).finish();
}

export function encodeSignal(id: string, signal: NodeJS.Signals, scope: "group" | "all"): Buffer {
  const number = constants.signals[signal];
  if (!number) throw new GuestError("invalid", `No signal is named "${signal}"`);
  return operation(Operation.signal, id)
    .u8(number)
    .u8(scope === "all" ? 1 : 0)
    .finish();
}

export function decodeSignaled(payload: Buffer): number {
  return new PayloadReader(payload).u32();
}

export function encodeForget(id: string): Buffer {
  return operation(Operation.forget, id).finish();
}

export function encodeList(afterSequence: number): Buffer {
  return new PayloadWriter().u8(Operation.list).u32(afterSequence).finish();
}

/** What is on a page, and where the next begins. */
export type GuestProcessPage = { processes: GuestProcessInfo[]; next?: number };

export function decodeList(payload: Buffer): GuestProcessPage {
  const reader = new PayloadReader(payload);
  const more = reader.u8() !== 0;
  const processes: GuestProcessInfo[] = [];
  let last = 0;
  while (!reader.done) {
    const sequence = reader.u32();
    if (sequence <= last) throw new GuestError("protocol", "The guest agent lists in no order");
    last = sequence;
    processes.push(decodeInfo(reader));
  }
  return more && processes.length > 0 ? { processes, next: last } : { processes };
}

function decodeInfo(reader: PayloadReader): GuestProcessInfo {
  const id = reader.raw(ID_BYTES).toString("hex");
  const pid = reader.u32();
  const flags = reader.u8();
  const finished = reader.u8() !== 0;
  const startedAt = new Date(reader.size());
  const stdinOffset = reader.size();
  const outputStart = reader.size();
  const outputEnd = reader.size();
  const exit = decodeExit(reader);
  return {
    id,
    pid,
    startedAt,
    pty: (flags & FLAG_PTY) !== 0,
    stdinOpen: (flags & FLAG_STDIN) !== 0,
    onFull: flags & FLAG_BLOCK ? "block" : flags & FLAG_FOLLOW ? "follow" : "drop",
    stdinOffset,
    outputStart,
    outputEnd,
    ...(finished ? { exit } : {}),
    meta: reader.bytes(MAX_META),
  };
}

export function decodeExit(reader: PayloadReader): GuestExit {
  const number = reader.u8();
  const code = reader.u8();
  const signal = number === 0 ? undefined : (SIGNAL_NAMES.get(number) ?? `SIGNAL ${number}`);
  const exit = {
    exitCode: number === 0 ? code : 128 + number,
    userCpuMs: reader.size() / 1000,
    systemCpuMs: reader.size() / 1000,
    maxRssBytes: reader.size() * 1024,
  };
  return signal === undefined ? exit : { ...exit, signal };
}
