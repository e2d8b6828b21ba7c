import { parseJson } from "@clawdspace/protocol";
import { z } from "zod";

const MAX_TEXT = 4096;
/** A longer record, as of a minified file, is passed over. */
const MAX_RECORD_BYTES = 1024 ** 2;
const NEWLINE = 0x0a;

export interface Match {
  /** Relative to the folder searched; undefined where a file was searched. */
  path: Buffer | undefined;
  line: number;
  text: string;
}

/** Cuts a stream into lines. What exceeds the limit for one is left out. */
export class Records {
  #pieces: Buffer[] = [];
  #length = 0;

  /** The lines that `data` completes, without their ends. */
  *add(data: Buffer): Generator<Buffer> {
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, start)) {
      this.#keep(data.subarray(start, end));
      start = end + 1;
      if (this.#length <= MAX_RECORD_BYTES) yield Buffer.concat(this.#pieces);
      this.#pieces = [];
      this.#length = 0;
    }
    this.#keep(data.subarray(start));
  }

  #keep(piece: Buffer): void {
    this.#length += piece.length;
    if (this.#length > MAX_RECORD_BYTES) this.#pieces = [];
    else this.#pieces.push(piece);
  }
}

const BytesSchema = z
  .union([z.object({ text: z.string() }), z.object({ bytes: z.base64() })])
  .transform((value) =>
    "text" in value ? Buffer.from(value.text) : Buffer.from(value.bytes, "base64"),
  );
const RipgrepSchema = z.object({
  type: z.literal("match"),
  data: z.object({ path: BytesSchema, lines: BytesSchema, line_number: z.number().int().min(1) }),
});

/** A line of `rg --json`; undefined for what is no match. */
export function toRipgrepMatch(record: Buffer): Match | undefined {
  const parsed = RipgrepSchema.safeParse(parseJson(record.toString("utf8")));
  if (!parsed.success) return undefined;
  const { path, lines, line_number: line } = parsed.data.data;
  return { path: pathOf(path, "<stdin>"), line, text: textOf(lines) };
}

/** A line of `grep -nZ`: name, NUL, number, ":" and the line itself. A newline in a name comes as a record of its own. */
export class GrepMatches {
  #begun: Buffer | undefined;

  next = (record: Buffer): Match | undefined => {
    const whole = this.#begun ? Buffer.concat([this.#begun, Buffer.from("\n"), record]) : record;
    const end = whole.indexOf(0);
    if (end < 0 && whole.length < MAX_TEXT) {
      this.#begun = whole;
      return undefined;
    }
    this.#begun = undefined;
    const colon = whole.indexOf(":", end);
    const line = Number(whole.subarray(end + 1, colon).toString("latin1"));
    const text = whole.subarray(colon + 1);
    if (end < 0 || colon < 0 || !Number.isInteger(line) || text.includes(0)) return undefined;
    return { path: pathOf(whole.subarray(0, end), "(standard input)"), line, text: textOf(text) };
  };
}

function pathOf(path: Buffer, stdin: string): Buffer | undefined {
  const text = path.toString("latin1");
  if (text === stdin) return undefined;
  return text.startsWith("./") ? path.subarray(2) : path;
}

const textOf = (line: Buffer) =>
  line
    .toString("utf8")
    .replace(/\r?\n$/, "")
    .slice(0, MAX_TEXT);
