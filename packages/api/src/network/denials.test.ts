import { expect, it } from "vitest";
import { Denials, parseRefused, type ReportedDenial } from "./denials.js";

const from = "172.29.0.5";
const named = (name: string) => ({ from, by: "dns" as const, name });

it("tells of the same denial once a minute, and of each other one", () => {
  const told: ReportedDenial[] = [];
  const denials = new Denials((denial) => told.push(denial));
  denials.note(named("a.test"), 0);
  denials.note(named("a.test"), 59_000);
  denials.note(named("b.test"), 59_000);
  denials.note({ ...named("a.test"), from: "172.29.0.6" }, 59_000);
  expect(told).toHaveLength(3);
  denials.note(named("a.test"), 60_000);
  expect(told).toHaveLength(4);
});

it("tells of so many a minute, and then how many went untold", () => {
  const told: ReportedDenial[] = [];
  const denials = new Denials((denial) => told.push(denial));
  for (let i = 0; i < 1000; i++) denials.note(named(`${i}.test`), i);
  expect(told).toHaveLength(30);
  denials.note(named("later.test"), 61_000);
  expect(told.at(-1)).toEqual({ ...named("later.test"), untold: 970 });
});

it("reads what the kernel refused lately", () => {
  const text = `114 172.29.0.5:0->203.0.113.10:443 844974685945856 11874725539200000000 1
60 172.29.0.5:0->203.0.113.20:22 2199023255552 11874725539200000000 1
119 172.29.0.6:0->203.0.113.10:0 2199023255552 11874725539200000000 1
nonsense
`;
  expect(parseRefused(text, 120, 30)).toEqual([
    { from, by: "address", address: "203.0.113.10", port: 443 },
    { from: "172.29.0.6", by: "address", address: "203.0.113.10" },
  ]);
});
