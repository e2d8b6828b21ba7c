/** The lines of a body that holds one JSON value a line, decoded as one stream; empty ones are left out. */
export async function* jsonLines(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pending: string[] = [];
  for await (const piece of pieces) {
    const [first = "", ...rest] = decoder.decode(piece, { stream: true }).split("\n");
    pending.push(first);
    for (const next of rest) {
      const line = pending.join("");
      pending = [next];
      if (line !== "") yield line;
    }
  }
  const last = pending.join("") + decoder.decode();
  if (last !== "") yield last;
}
