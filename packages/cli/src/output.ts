import { once } from "node:events";

export type Format = "text" | "json";
type Colour = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

const CODES: Record<Colour, [number, number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Everything that a command prints: results on stdout, what goes on meanwhile on stderr. */
export class Output {
  readonly isTerminal = process.stdout.isTTY === true;
  /** Whether lines on stderr may be redrawn. */
  readonly isLive: boolean;
  readonly #colours: boolean;

  constructor(
    readonly format: Format,
    options: { colour: boolean; environment: NodeJS.ProcessEnv },
  ) {
    const plain =
      (options.environment.NO_COLOR ?? "") !== "" || options.environment.TERM === "dumb";
    this.#colours = options.colour && !plain && this.isTerminal;
    this.isLive = process.stderr.isTTY === true && format === "text" && !plain;
  }

  get isJson(): boolean {
    return this.format === "json";
  }

  paint(colour: Colour, text: string): string {
    if (!this.#colours) return text;
    const [on, off] = CODES[colour];
    return `\x1b[${on}m${text}\x1b[${off}m`;
  }

  /** A line for people: not printed where the output is JSON. */
  say(line: string): void {
    if (!this.isJson) process.stdout.write(`${line}\n`);
  }

  /** A remark beside the result. */
  note(line: string): void {
    if (!this.isJson) process.stderr.write(`${line}\n`);
  }

  /** The command's result: as JSON where that is asked for, else as `text` makes it. */
  result(value: unknown, text: () => string | undefined): void {
    if (this.isJson) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    else {
      const shown = text();
      if (shown) process.stdout.write(shown.endsWith("\n") ? shown : `${shown}\n`);
    }
  }

  /** One value of a stream: a line of JSON, or of text. */
  line(value: unknown, text: () => string): void {
    process.stdout.write(`${this.isJson ? JSON.stringify(value) : text()}\n`);
  }

  table(head: string[], rows: string[][]): string {
    const all = [head, ...rows];
    const widths = head.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ""))));
    const lines = all.map((row, index) => {
      const cells = row.map((cell, column) =>
        column === row.length - 1
          ? cell
          : cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - width(cell))),
      );
      const line = cells.join("  ").trimEnd();
      return index === 0 ? this.paint("dim", line) : line;
    });
    return `${lines.join("\n")}\n`;
  }

  /** Redraws the one line on stderr that says what goes on; an empty text takes it away. */
  progress(text: string): void {
    if (!this.isLive) return;
    const columns = process.stderr.columns ?? 80;
    const shown = text.length < columns ? text : `${text.slice(0, columns - 2)}…`;
    process.stderr.write(`\r\x1b[2K${shown}`);
  }
}

/** Columns that a text takes, its colours not counted. */
function width(text: string): number {
  return [...text.replace(/\x1b\[\d+m/g, "")].length;
}

/** Writes at the reader's pace; false where nobody reads any more. */
export async function write(stream: NodeJS.WriteStream, bytes: Uint8Array | string): Promise<void> {
  if (!stream.write(bytes)) await once(stream, "drain");
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

export function formatAge(since: string | number | Date, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - new Date(since).getTime()) / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
