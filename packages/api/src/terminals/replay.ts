/**
 * What asks the terminal a question: attributes, status, modes, colours, window sizes, key protocol, capabilities.
 * A terminal that is shown old output would answer all over again, and the shell take the answers for typed input.
 */
const QUERIES = new RegExp(
  [
    "\\x05",
    "\\x1b\\[[>=?]?[\\d;]*[cn]",
    "\\x1b\\[\\??[\\d;]*\\$p",
    "\\x1b\\[>[\\d;]*q",
    "\\x1b\\[\\?u",
    "\\x1b\\[(?:1[13-9]|2[01])t",
    "\\x1b\\](?:4;\\d+|1\\d);\\?(?:\\x07|\\x1b\\\\)",
    "\\x1bP[$+]q[^\\x1b]*\\x1b\\\\",
  ].join("|"),
  "g",
);

/** How far from a cut the first whole line is looked for. */
const MAX_LINE_BYTES = 4096;

/**
 * Old output as a terminal may be shown it again.
 * @param cut whether output before it is missing: then it begins after the first line's end, not amid a character or a
 * control sequence.
 */
export function toReplay(output: Buffer, cut: boolean): Buffer {
  const lineEnd = cut ? output.subarray(0, MAX_LINE_BYTES).indexOf(0x0a) : -1;
  const text = output.toString("latin1", lineEnd + 1);
  return Buffer.from(text.replace(QUERIES, ""), "latin1");
}
