import { expect, test } from "vitest";
import { clockFinding } from "./doctor.js";

test("clocks that differ by more than an answer takes are told apart", () => {
  expect(clockFinding(100_000, 129_000)).toMatchObject({ status: "ok" });
  expect(clockFinding(160_000, 100_000)).toMatchObject({
    status: "warning",
    detail: "60 s behind the daemon's",
  });
  expect(clockFinding(100_000, 160_000).detail).toBe("60 s ahead of the daemon's");
});
