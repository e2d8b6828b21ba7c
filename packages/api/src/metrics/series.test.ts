import { expect, test } from "vitest";
import { Series } from "./series.js";

const at = (second: number) => new Date(1_700_000_000_000 + second * 1000);
const all = (series: Series, since = at(0)) =>
  [...series.since(since)].map(({ at: time, values }) => [
    (time.getTime() - at(0).getTime()) / 1000,
    ...values,
  ]);

test("keeps the last values in order", () => {
  const series = new Series(3, 2);
  expect(all(series)).toEqual([]);
  for (let n = 0; n < 5; n++) series.add(at(n), [n, n * 10]);
  expect(all(series)).toEqual([
    [2, 2, 20],
    [3, 3, 30],
    [4, 4, 40],
  ]);
  expect(all(series, at(4))).toEqual([[4, 4, 40]]);
});
