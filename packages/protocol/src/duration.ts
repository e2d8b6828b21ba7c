import * as z from "zod";

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Parses "90s", "10m", "2h", "1d" or "500ms" into milliseconds; undefined where the text is no such duration. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  if (!match) return undefined;
  const duration = Math.round(Number(match[1]) * (UNITS[match[2] ?? ""] ?? 1));
  return Number.isSafeInteger(duration) ? duration : undefined;
}

/** A duration such as "10m"; `min` is in milliseconds. */
export const durationSchema = (min: number) =>
  z
    .string()
    .refine(
      (text) => (parseDuration(text) ?? -1) >= min,
      `must be a duration of at least ${min / 1000} s, such as "90s", "10m" or "2h"`,
    );
