import * as z from "zod";

const UNITS: Record<string, number> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/**
 * Parses a size as Docker writes it: digits with an optional k, m, g or t ("512m", "2g", "1.5g"; powers of 1024).
 * Returns whole bytes, or undefined where the text is no such size.
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  if (!match) return undefined;
  const bytes = Math.floor(Number(match[1]) * (UNITS[(match[2] ?? "").toLowerCase()] ?? 1));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A size such as "2g" or "512m"; `min` and `max` are in bytes. */
export const sizeSchema = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  z.string().refine(
    (text) => {
      const bytes = parseSize(text);
      return bytes !== undefined && bytes >= min && bytes <= max;
    },
    `must be a size of at least ${formatSize(min)}, such as "512m" or "2g"`,
  );

/** Writes bytes the way `parseSize` reads them, with the largest unit that divides them: 2147483648 → "2g". */
export function formatSize(bytes: number): string {
  for (const unit of ["t", "g", "m", "k"] as const) {
    const factor = UNITS[unit] ?? 1;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return `${bytes}`;
}
