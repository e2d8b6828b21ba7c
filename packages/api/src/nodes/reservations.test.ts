import { expect, it } from "vitest";
import { Reservations } from "./reservations.js";

it("lets one of two creates that count on the same memory have it, and gives it back", () => {
  const reservations = new Reservations(() => 3000 * 1024 ** 2);
  const release = reservations.take(2000 * 1024 ** 2, { placed: true });
  const second = () => reservations.take(2000 * 1024 ** 2, { placed: true });
  expect(second).toThrow("this node has 1000m left");
  // Somebody who names the node means it.
  reservations.take(2000 * 1024 ** 2, { placed: false })();
  release();
  release();
  expect(reservations.bytes).toBe(0);
  second()();
});
