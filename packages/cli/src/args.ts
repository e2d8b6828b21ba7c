import { usageError } from "./failure.js";

/** "K=V" options as a record; undefined where there is none. `K` alone takes this process's own value. */
export function pairs(
  option: string,
  texts: string[] | undefined,
): Record<string, string> | undefined {
  if (!texts) return undefined;
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
      const own = at < 0 ? process.env[text] : undefined;
      if (own !== undefined) return [text, own];
      throw usageError(`${option} takes NAME=VALUE, and got "${text}".`);
    }),
  );
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "30s", "5m", "2h", "1d", "500ms" or seconds alone, in milliseconds. Throws a usage error. */
export function duration(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text);
  if (match) return Math.round(Number(match[1]) * (UNITS[match[2] ?? "s"] ?? 1));
  throw usageError(`${option} takes a duration such as "30s" or "5m", and got "${text}".`);
}

/** A whole number from 0 on. Throws a usage error. */
export function whole(option: string, text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw usageError(`${option} takes a whole number, and got "${text}".`);
}

/** NAME:PATH. Undefined for what is a local path: one with a slash before its first colon, or without a colon. */
export function toPlace(text: string): { name: string; path: string } | undefined {
  const match = /^([a-zA-Z0-9_-]+):([\s\S]*)$/.exec(text);
  if (!match) return undefined;
  const [, name = "", path = ""] = match;
  return { name, path: rooted(path) };
}

/** A path as the daemon has it: "/workspace/a", "a" and "/a" are all "/a". */
export function rooted(path: string): string {
  const below = path.replace(/^\/workspace(?=\/|$)/, "");
  return below.startsWith("/") ? below : `/${below}`;
}

/** A place that has to be in a space: NAME:PATH, or NAME alone for its /workspace. Throws a usage error. */
export function spacePlace(text: string): { name: string; path: string } {
  const place =
    toPlace(text) ?? (/^[a-zA-Z0-9_-]+$/.test(text) ? { name: text, path: "/" } : undefined);
  if (place) return place;
  throw usageError(`"${text}" is no place in a space.`, "Write NAME:PATH, such as dev:/app/a.txt.");
}
