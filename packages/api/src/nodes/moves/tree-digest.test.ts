import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { type Header, pack } from "tar-stream";
import { expect, it } from "vitest";
import { digesting, digestOf } from "./tree-digest.js";

const at = new Date(1_000_000_000_000);
const FILES: [Partial<Header> & { name: string }, string?][] = [
  [{ name: "./", type: "directory", mode: 0o755, uid: 1001, gid: 1001 }],
  [{ name: "./a", mode: 0o644, uid: 1001, gid: 1001, mtime: at }, "content"],
  [{ name: "./b", type: "link", linkname: "./a", mode: 0o644, uid: 1001, gid: 1001 }],
  [{ name: "./c", type: "symlink", linkname: "nowhere", mode: 0o777, uid: 1001, gid: 1001 }],
];

async function archiveOf(files = FILES): Promise<Buffer> {
  const archive = pack();
  for (const [header, content] of files) archive.entry(header as Header, content ?? "");
  archive.finalize();
  return await buffer(archive);
}
const digest = async (files?: typeof FILES) =>
  await digestOf(Readable.from([await archiveOf(files)]));

it("is the same whatever the order of the entries and the times of folders", async () => {
  const [root, ...rest] = FILES;
  const later = [[{ ...root?.[0], mtime: new Date() }], ...rest.reverse()] as typeof FILES;
  const first = await digest();
  expect(first).toMatchObject({ entries: 4, bytes: 7 });
  expect(await digest(later)).toEqual(first);
});

it.each([
  ["another name", { name: "./z" }],
  ["another mode", { mode: 0o4644 }],
  ["another owner", { uid: 0 }],
  ["another time", { mtime: new Date(1_000_000_001_000) }],
  ["another type", { type: "contiguous-file" as const }],
])("tells of %s", async (_, change) => {
  const changed = FILES.map(([header, content]) =>
    header.name === "./a" ? [{ ...header, ...change }, content] : [header, content],
  ) as typeof FILES;
  expect((await digest(changed)).sha256).not.toBe((await digest()).sha256);
});

it("tells of other content of the same size, and of other targets of links", async () => {
  const other = FILES.map(([header, content]) => [header, content && "CONTENT"]) as typeof FILES;
  const targets = FILES.map(([header, content]) => [
    header.type === "symlink" ? { ...header, linkname: "elsewhere" } : header,
    content,
  ]) as typeof FILES;
  const known = (await digest()).sha256;
  expect((await digest(other)).sha256).not.toBe(known);
  expect((await digest(targets)).sha256).not.toBe(known);
});

it("fails for an archive that breaks off, on its way too", async () => {
  const archive = await archiveOf();
  await expect(digestOf(Readable.from([archive.subarray(0, 1000)]))).rejects.toThrow();
  const broken = Readable.from(
    (async function* () {
      yield archive.subarray(0, 1000);
      throw new Error("the engine is gone");
    })(),
  );
  const { stream, digest: passed } = digesting(broken, () => {});
  await expect(buffer(stream)).rejects.toThrow("the engine is gone");
  await expect(passed).rejects.toThrow();
});

it("lets an archive through unchanged, and tells how far it is", async () => {
  const archive = await archiveOf();
  const seen: number[] = [];
  const pieces = [archive.subarray(0, 700), archive.subarray(700)];
  const { stream, digest: passed } = digesting(Readable.from(pieces), (total) => seen.push(total));
  expect(await buffer(stream)).toEqual(archive);
  expect(await passed).toEqual(await digest());
  expect(seen).toEqual([700, archive.length]);
});
