import type { ExecResult } from "@clawdspace/client";

export { editText } from "./edit.js";

/** How many characters of each of stdout, stderr and a file's text a model is shown. */
export const MAX_SHOWN_CHARACTERS = 50_000;

/** A text that is too long loses its middle, and says how much. */
export function cutMiddle(text: string, max = MAX_SHOWN_CHARACTERS): string {
  if (text.length <= max) return text;
  const head = wholeEnd(text, Math.ceil(max / 2));
  const tail = wholeStart(text, text.length - Math.floor(max / 2));
  return `${text.slice(0, head)}\n[… ${tail - head} characters cut …]\n${text.slice(tail)}`;
}

/** Neither half of a surrogate pair is left alone. */
const wholeEnd = (text: string, at: number) => (isLow(text, at) ? at - 1 : at);
const wholeStart = (text: string, at: number) => (isLow(text, at) ? at + 1 : at);
const isLow = (text: string, at: number) => /[\udc00-\udfff]/.test(text[at] ?? "");

/** A command's end as a model reads it: exit code, stdout, stderr, in this order; of each at most `max` characters. */
export function describeResult(result: ExecResult, max = MAX_SHOWN_CHARACTERS): string {
  const part = (name: string, text: string, cut = 0) => [
    ...(text === "" ? [] : [`${name}:\n${cutMiddle(text, max)}`]),
    ...(cut > 0 ? [`[${name}: ${cut} more bytes were not kept]`] : []),
  ];
  return [
    `exit code: ${result.exitCode}${result.timedOut ? " (timed out)" : ""}`,
    ...part("stdout", result.stdout, result.stdoutTruncatedBytes),
    ...part("stderr", result.stderr, result.stderrTruncatedBytes),
  ].join("\n");
}

/** The text of a file, or undefined where its bytes are no text. */
export function asText(bytes: Uint8Array): string | undefined {
  if (bytes.subarray(0, 8192).includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

const IMAGES: [type: string, signature: RegExp][] = [
  ["image/png", /^\x89PNG/],
  ["image/jpeg", /^\xff\xd8\xff/],
  ["image/gif", /^GIF8/],
  ["image/webp", /^RIFF.{4}WEBP/s],
];

/** The media type of an image that a model can look at, by its first bytes. */
export function imageType(bytes: Uint8Array): string | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, 12));
  return IMAGES.find(([, signature]) => signature.test(start))?.[0];
}
