import { expect, test } from "vitest";
import { EventBus } from "./event-bus.js";

const types = (events: { type: string }[]) => events.map((event) => event.type);

test("who comes back gets what followed, in order and only once", () => {
  const bus = new EventBus();
  bus.publish({ type: "space.created", space: "a" });
  const [first] = bus.after(bus.lastId.replace(/\d+$/, "0"), 10);
  bus.publish({ type: "space.paused", space: "a" });
  bus.publish({ type: "space.woken", space: "a" });
  expect(types(bus.after(first?.id ?? "", 10))).toEqual(["space.paused", "space.woken"]);
  expect(types(bus.after(first?.id ?? "", 1))).toEqual(["space.paused"]);
  expect(bus.after(bus.lastId, 10)).toEqual([]);
});

test("who was away too long, or knew another daemon, is told to look anew", () => {
  const bus = new EventBus(3);
  bus.publish({ type: "space.created", space: "a" });
  const first = bus.lastId;
  for (let n = 0; n < 4; n++) bus.publish({ type: "file.changed", space: "a", data: { n } });
  for (const id of [first, "0badcafe-3", "nonsense", `${first}9`]) {
    const events = bus.after(id, 10);
    expect(types(events)).toEqual(["stream.reset", "file.changed", "file.changed", "file.changed"]);
    expect(bus.after(events[0]?.id ?? "", 10)).toEqual(events.slice(1));
  }
});

test("a follower misses nothing, however slow it is, and ends with its signal", async () => {
  const bus = new EventBus();
  const { signal, ...leaving } = withSignal();
  const heard: unknown[] = [];
  const following = (async () => {
    for await (const batch of bus.follow(bus.lastId, signal)) {
      heard.push(...batch.map((event) => event.data?.n));
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (heard.length === 500) leaving.leave();
    }
  })();
  for (let n = 0; n < 500; n++) {
    bus.publish({ type: "file.changed", data: { n } });
    if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await following;
  expect(heard).toEqual(Array.from({ length: 500 }, (_, n) => n));
});

function withSignal() {
  const controller = new AbortController();
  return { signal: controller.signal, leave: () => controller.abort() };
}

test("events stay small", () => {
  const bus = new EventBus();
  bus.publish({
    type: "exec.started",
    data: { command: "x".repeat(9000), argv: Array(500).fill("word") },
  });
  const [event] = bus.after(bus.lastId.replace(/\d+$/, "0"), 1);
  expect(JSON.stringify(event).length).toBeLessThan(700);
});
