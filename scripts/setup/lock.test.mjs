import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { takeLock } from "./lock.mjs";

let folder;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "clawdspace-lock-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("lets the second wait for the first, and says so", async () => {
  const file = join(folder, "lock");
  const said = [];
  const order = [];
  const release = await takeLock((line) => said.push(line), file);
  const second = takeLock((line) => {
    said.push(line);
    order.push("first done");
    release();
  }, file).then((releaseSecond) => {
    order.push("second runs");
    releaseSecond();
  });
  await second;
  expect(order).toEqual(["first done", "second runs"]);
  expect(said).toHaveLength(1);
});

it("is free again when its holder was killed", async () => {
  const file = join(folder, "lock");
  const module = new URL("./lock.mjs", import.meta.url).href;
  const script = `import { takeLock } from ${JSON.stringify(module)};
    await takeLock(() => {}, ${JSON.stringify(file)});
    console.log("held"); setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", script]);
  await once(holder.stdout, "data");
  holder.kill("SIGKILL");
  await once(holder, "close");
  const said = [];
  const release = await takeLock((line) => said.push(line), file);
  release();
  expect(said).toEqual([]);
});
