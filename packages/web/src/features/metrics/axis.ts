/** Distances between the ticks of an axis of bytes: 1, 2, 4 … 512 of a unit, and of the next, up to TiB. */
export const BYTE_STEPS = Array.from({ length: 5 }, (_, unit) =>
  [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((step) => step * 1024 ** unit),
).flat();

const pad = (value: number) => String(value).padStart(2, "0");

/** Seconds since 1970 as a clock shows them here: "14:05", with seconds where ticks are closer than a minute. */
export function timeOfDay(seconds: number, step: number): string {
  const date = new Date(seconds * 1000);
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  return step < 60 ? `${text}:${pad(date.getSeconds())}` : text;
}
