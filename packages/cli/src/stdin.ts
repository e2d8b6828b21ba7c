import { usageError } from "./failure.js";

/** The first line that is piped in, such as a key. @param what names it where it is missing */
export async function firstLine(what: string): Promise<string> {
  if (process.stdin.isTTY) {
    throw usageError(`${what} is read from stdin, which is a terminal.`, "Pipe it in.");
  }
  let text = "";
  process.stdin.setEncoding("utf8");
  for await (const piece of process.stdin) {
    text += piece;
    if (text.includes("\n")) break;
  }
  const [line = ""] = text.split(/\r?\n/);
  if (line.trim() === "") throw usageError(`${what} was to come by stdin, and nothing did.`);
  return line.trim();
}

/** Everything that is piped in. */
export async function allInput(): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
