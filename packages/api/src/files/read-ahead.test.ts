import { expect, it } from "vitest";
import { readAhead, SMALL_BYTES } from "./read-ahead.js";
import type { TreeEntry } from "./space-files.js";

const facts = { mode: 0o644, mtimeMs: 0 };
let asked: string[];

/** A file as a tree tells it; `whole` says what a read of all of it gives. */
function file(name: string, size: number, whole?: () => Promise<Buffer | undefined>): TreeEntry {
  return {
    path: Buffer.from(name),
    facts: { ...facts, type: "file", size },
    open: () => Promise.reject(new Error("not opened here")),
    ...(whole && {
      readSmall: () => {
        asked.push(name);
        return whole();
      },
    }),
  };
}

it("asks for small files before their turn, and keeps the order", async () => {
  asked = [];
  const small = (name: string) => file(name, 3, async () => Buffer.from(name));
  const dir: TreeEntry = { ...file("d", 0), facts: { ...facts, type: "dir", size: 0 } };
  const tree = async function* () {
    yield* [small("a"), dir, small("b")];
    // An entry that is opened has to be handed over before the next one is asked for.
    yield file("large", SMALL_BYTES + 1, async () => Buffer.alloc(0));
    expect(seen).toEqual(["a", "d", "b", "large"]);
    for (let n = 0; n < 40; n++) yield small(`${n}`);
    expect(asked.length - (seen.length - 2)).toBeLessThanOrEqual(16);
    yield file("gone", 1, () => Promise.reject(new Error("it is gone")));
  };
  const seen: string[] = [];
  const contents: unknown[] = [];
  for await (const { path, content } of readAhead(tree())) {
    seen.push(path.toString());
    if (seen.length === 1) expect(asked).toEqual(["a", "b"]);
    contents.push(await content?.then(String, (error: Error) => error.message));
  }
  const numbers = Array.from({ length: 40 }, (_, n) => `${n}`);
  expect(seen).toEqual(["a", "d", "b", "large", ...numbers, "gone"]);
  expect(contents).toEqual(["a", undefined, "b", undefined, ...numbers, "it is gone"]);
});

it("lets go of what was read ahead for nobody", async () => {
  asked = [];
  const tree = async function* () {
    for (let n = 0; n < 30; n++) yield file(`${n}`, 1, () => Promise.reject(new Error("late")));
  };
  for await (const { path } of readAhead(tree())) if (path.toString() === "2") break;
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked.length).toBeLessThanOrEqual(19);
});
