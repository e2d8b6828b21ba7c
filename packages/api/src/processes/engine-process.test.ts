import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import type { EngineExec } from "../engine/engine.js";
import { EngineProcess } from "./engine-process.js";

type State = Awaited<ReturnType<EngineExec["inspect"]>>;

it("takes an exec that the engine has not come to yet for none that has ended", async () => {
  const unbegun: State = { running: false, exitCode: undefined, pid: 0 };
  let states: State[] = [
    ...Array.from({ length: 8 }, () => unbegun),
    { running: true, exitCode: undefined, pid: 0 },
    { running: true, exitCode: undefined, pid: 7 },
  ];
  let end = () => {};
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  const exec: EngineExec = {
    id: "exec",
    output: (async function* () {
      await over;
      yield { stream: "stdout" as const, data: Buffer.from("said") };
    })(),
    stdin: new PassThrough(),
    resize: async () => {},
    inspect: async () => (states.length > 1 ? states.shift() : states[0]) ?? unbegun,
    close() {},
  };
  const spec = { argv: ["true"], env: {}, cwd: "/", onFull: "block" as const };
  const process = new EngineProcess("id", spec, exec, undefined);
  await process.started();
  // It runs by then, and no look at it has found it ended.
  expect(states).toHaveLength(1);
  expect(process.over).toBe(false);
  states = [{ running: false, exitCode: 3, pid: 0 }];
  end();
  const told = [];
  for await (const each of process.output(0)) told.push(each);
  expect(told).toMatchObject([
    { type: "stdout", offset: 0, data: Buffer.from("said") },
    { type: "exit", offset: 4, exitCode: 3 },
  ]);
});
