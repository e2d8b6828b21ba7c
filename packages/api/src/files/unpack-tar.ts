import { Readable } from "node:stream";
import { ClawdspaceError } from "@clawdspace/protocol";
import { ArchiveEntries, type ArchiveEntry } from "./archive-entries.js";
import type { IncomingEntry } from "./incoming.js";
import { quiet } from "./streams.js";

/** The entries of a tar archive as they come in. Throws `invalid_request` where it is damaged or breaks off. */
export async function* unpackTar(source: Readable): AsyncGenerator<IncomingEntry> {
  const archive = new ArchiveEntries(source, { filenameEncoding: "latin1" });
  try {
    for (;;) {
      const { done, value } = await archive.next().catch((cause: unknown) => {
        throw damaged(cause);
      });
      if (done) return;
      yield toIncoming(value);
    }
  } finally {
    archive.detach();
  }
}

function toIncoming(entry: ArchiveEntry): IncomingEntry {
  const { header } = entry;
  const name = bytesOf(header.name, pax(header.pax, "path"));
  const target = bytesOf(header.linkname ?? "", pax(header.pax, "linkpath"));
  const mode = header.mode & 0o777;
  switch (header.type) {
    case "file":
    case "contiguous-file": {
      const content = async () => quiet(Readable.from(pieces(entry), { objectMode: false }));
      const whole = async () => {
        const all: Buffer[] = [];
        for await (const piece of pieces(entry)) all.push(piece);
        return Buffer.concat(all);
      };
      return { name, type: "file", mode, size: header.size, content, whole };
    }
    case "directory":
      return { name, type: "dir", mode };
    case "symlink":
      return { name, type: "symlink", target };
    case "link":
      return { name, type: "hard link", to: target };
    default:
      return { name, type: "device" };
  }
}

async function* pieces(entry: ArchiveEntry): AsyncGenerator<Buffer> {
  try {
    yield* entry as AsyncIterable<Buffer>;
  } catch (cause) {
    throw damaged(cause);
  }
}

/** Outside PAX headers names come as bytes; inside they have to be UTF-8, and what was none is lost already. */
function bytesOf(text: string, paxText: string | undefined): Buffer {
  if (paxText === undefined) return Buffer.from(text, "latin1");
  if (!paxText.includes("\ufffd")) return Buffer.from(paxText);
  throw new ClawdspaceError(
    "invalid_request",
    `The archive holds ${JSON.stringify(paxText)}, which is not UTF-8, in a PAX header. Make it in the GNU format.`,
  );
}

function pax(headers: unknown, key: string): string | undefined {
  if (typeof headers !== "object" || headers === null) return undefined;
  const value: unknown = Reflect.get(headers, key);
  return typeof value === "string" ? value : undefined;
}

export function damaged(cause: unknown): unknown {
  if (cause instanceof ClawdspaceError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ClawdspaceError("invalid_request", `The archive can't be read: ${why}.`, { cause });
}
