import { describe, expect, test } from "vitest";
import { ExecGate } from "./exec-gate.js";

/** A promise that is settled by hand. */
function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("ExecGate", () => {
  test("a pause waits until the execs before it have begun", async () => {
    const gate = new ExecGate();
    const begun = deferred();
    const log: string[] = [];
    await gate.start("a", async () => ({ value: 1, begun: () => begun.promise }));
    const pause = gate.pause("a", async () => void log.push("paused"));
    await turn();
    expect(log).toEqual([]);
    begun.resolve();
    await pause;
    expect(log).toEqual(["paused"]);
  });

  test("a pause waits for an exec whose start the engine has not answered yet", async () => {
    const gate = new ExecGate();
    const answered = deferred();
    const log: string[] = [];
    const start = gate.start("a", async () => {
      await answered.promise;
      return { value: 1, begun: async () => void log.push("begun") };
    });
    const pause = gate.pause("a", async () => void log.push("paused"));
    await turn();
    answered.resolve();
    await Promise.all([start, pause]);
    expect(log).toEqual(["begun", "paused"]);
  });

  test("an exec waits for a pause that is under way, and not for one of another container", async () => {
    const gate = new ExecGate();
    const frozen = deferred();
    const log: string[] = [];
    const pause = gate.pause("a", () => frozen.promise);
    const started = (name: string) => async () => {
      log.push(name);
      return { value: name, begun: async () => {} };
    };
    const waiting = gate.start("a", started("a"));
    expect((await gate.start("b", started("b"))).value).toBe("b");
    expect(log).toEqual(["b"]);
    frozen.resolve();
    await pause;
    expect((await waiting).value).toBe("a");
  });

  test("failed starts and settled execs hold up no pause; a failed pause holds up no exec", async () => {
    const gate = new ExecGate();
    await expect(gate.start("a", () => Promise.reject(new Error("refused")))).rejects.toThrow();
    const { settled } = await gate.start("a", async () => ({
      value: 1,
      begun: () => new Promise<void>(() => {}),
    }));
    settled();
    await expect(gate.pause("a", () => Promise.reject(new Error("not running")))).rejects.toThrow(
      "not running",
    );
    await gate.start("a", async () => ({ value: 1, begun: async () => {} }));
  });
});
