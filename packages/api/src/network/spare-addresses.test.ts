import { expect, test } from "vitest";
import type { NetworkPolicy } from "./policy.js";
import { SpareAddresses } from "./spare-addresses.js";

const policy = (blocked: string): NetworkPolicy => ({
  mode: "internet",
  blockCidrs: [blocked],
  allowCidrs: [],
});

test("an address is taken for just the policy that it is admitted to, and once", () => {
  const spares = new SpareAddresses();
  const [one, two] = [policy("1.0.0.0/8"), policy("2.0.0.0/8")];
  expect(spares.take(one)).toBeUndefined();
  const [wanting] = spares.wanting();
  expect(wanting?.policy).toBe(one);
  spares.add(one, ["10.0.0.2", "10.0.0.3"]);
  expect(spares.take(two)).toBeUndefined();
  expect(spares.take({ ...one, blockCidrs: ["1.0.0.0/8", "1.0.0.0/8"] })).toBe("10.0.0.2");
  expect(spares.takeAny()).toBe("10.0.0.3");
  expect([spares.take(one), spares.takeAny()]).toEqual([undefined, undefined]);
});

test("policies that nobody asks for any more give their addresses back", () => {
  const spares = new SpareAddresses();
  const policies = [1, 2, 3, 4].map((n) => policy(`${n}.0.0.0/8`));
  for (const [n, each] of policies.entries()) {
    spares.take(each);
    spares.add(each, [`10.0.0.${n}`]);
  }
  expect(spares.forgetOld()).toEqual(["10.0.0.0"]);
  expect(spares.forgetOld()).toEqual([]);
  expect(spares.wanting().map(({ count }) => count)).toEqual([15, 15, 15]);
});
