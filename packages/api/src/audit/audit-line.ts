import { hash } from "node:crypto";
import { type AuditEvent, AuditEventSchema } from "@clawdspace/protocol";

/** What the first line of a log has for `prev`. */
export const GENESIS = "0".repeat(64);

/** An event as its maker gives it; the log adds its number, its time and its place in the chain. */
export interface AuditInput {
  type: string;
  space?: string | undefined;
  actor?: string | undefined;
  meta?: Record<string, unknown> | undefined;
}

/** What the chain says of a line: its number, and the hash that it holds of the line before. */
export interface ChainLink {
  id: number;
  prev: string;
}

/** SHA-256 of a line without its newline, in hex. */
export const lineHash = (line: Uint8Array) => hash("sha256", line, "hex");

/** The line of an event, without newline. `id` comes first and `prev` last, where `readLink` finds them. */
export function encodeLine(id: number, at: Date, input: AuditInput, prev: string): Buffer {
  const { type, space, actor, meta } = input;
  const event: AuditEvent = {
    id,
    ts: at.toISOString(),
    ...(space === undefined ? {} : { space }),
    type,
    ...(actor === undefined ? {} : { actor }),
    ...(meta === undefined ? {} : { meta }),
    prev,
  };
  return Buffer.from(JSON.stringify(event));
}

/** undefined where the text is no event. */
export function decodeLine(text: string): AuditEvent | undefined {
  try {
    return AuditEventSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

const ID_PREFIX = '{"id":';
const PREV_PREFIX = '"prev":"';
const TAIL_LENGTH = PREV_PREFIX.length + GENESIS.length + '"}'.length;

/** Reads a line's link without parsing the rest; undefined where the line doesn't have the form of one of ours. */
export function readLink(line: Buffer): ChainLink | undefined {
  if (line.length < ID_PREFIX.length + TAIL_LENGTH) return undefined;
  const start = line.toString("latin1", 0, ID_PREFIX.length + 17);
  const id = /^\{"id":(\d+),/.exec(start)?.[1];
  const tail = line.toString("latin1", line.length - TAIL_LENGTH);
  const prev = /^"prev":"([0-9a-f]{64})"\}$/.exec(tail)?.[1];
  return id === undefined || prev === undefined ? undefined : { id: Number(id), prev };
}
