/** Runs a task and resolves to the milliseconds that it took. */
export async function timed(task) {
  const start = performance.now();
  await task();
  return performance.now() - start;
}

/**
 * Measures ours beside the raw engine's way to the same work, in turns, so that a noisy machine is noisy for both. Each is as
 * often the first of two as the second: whoever comes second finds the processor's caches full of the other.
 * @param {{name: string, rounds: number, ours: () => Promise<number>, raw: () => Promise<number>}} pair each call measures itself
 */
export async function sideBySide({ name, rounds, ours, raw }) {
  const samples = { ours: [], raw: [] };
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) samples.raw.push(await raw());
    samples.ours.push(await ours());
    if (round % 2 === 1) samples.raw.push(await raw());
  }
  const mine = summary(samples.ours);
  const theirs = summary(samples.raw);
  return { name, rounds, ours: mine, raw: theirs, ratio: mine.median / theirs.median };
}

/** Median and 90th percentile of samples, in the samples' unit. */
export function summary(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { median: at(0.5), p90: at(0.9) };
}

/** The head of the table that `measurer` prints. */
export const HEAD = `${"median and p90, ms".padEnd(34)}     ours      p90      raw      p90    ratio`;

/** Gives a `sideBySide` that keeps each result in `results` and prints it as a line of a table. */
export function measurer(results) {
  return async (pair) => {
    const result = await sideBySide(pair);
    results.push(result);
    const { name, ours, raw, ratio, rounds } = result;
    const cell = (value) => value.toFixed(2).padStart(9);
    const cells = [ours.median, ours.p90, raw.median, raw.p90, ratio].map(cell).join("");
    console.log(`${name.padEnd(34)}${cells}  n=${rounds}`);
  };
}
