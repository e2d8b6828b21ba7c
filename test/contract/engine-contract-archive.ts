import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { extract, pack } from "tar-stream";
import { describe, expect, test } from "vitest";
import { tarOf } from "../../packages/api/src/engine/tar.js";
import type { Bench } from "./engine-contract.js";
import { runExec } from "./engine-contract-exec.js";

async function entriesOf(archive: Readable) {
  const entries = extract();
  archive.on("error", (error) => entries.destroy(error)).pipe(entries);
  const found: { name: string; type: string; text: string; mode: number; link: string }[] = [];
  for await (const entry of entries) {
    const { name, type, mode, linkname } = entry.header;
    const text = (await buffer(entry)).toString();
    found.push({ name, type, mode: mode & 0o777, text, link: linkname ?? "" });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Files through the archive calls, in every state of the container. */
export function archiveContract(bench: Bench): void {
  describe("archives", () => {
    const files = () =>
      tarOf([
        { name: "folder", mode: 0o750, owner: 1001 },
        { name: "folder/file.txt", mode: 0o640, owner: 1001, data: Buffer.from("content ☃") },
      ]);

    test("bring files in and out of a container in any state", async () => {
      const { engine } = bench;
      const id = await engine.createContainer(bench.spec("archive"));
      const roundTrip = async () => {
        await engine.writeArchive(id, "/workspace", await files());
        expect(await entriesOf(await engine.readArchive(id, "/workspace/folder"))).toMatchObject([
          { name: "folder/", type: "directory", mode: 0o750 },
          { name: "folder/file.txt", type: "file", text: "content ☃", mode: 0o640 },
        ]);
        const [file] = await entriesOf(await engine.readArchive(id, "/workspace/folder/file.txt"));
        expect(file).toMatchObject({ name: "file.txt", text: "content ☃" });
      };
      await roundTrip();
      await engine.startContainer(id);
      await roundTrip();
      expect(await runExec(engine, id, ["cat", "folder/file.txt"])).toMatchObject({
        stdout: "content ☃",
      });
      await engine.pauseContainer(id);
      await roundTrip();
      await engine.stopContainer(id, 0);
      await roundTrip();
    });

    test("say of a path what it is", async () => {
      const { engine } = bench;
      const id = await bench.running("archive-stat");
      await engine.writeArchive(id, "/workspace", await files());
      await runExec(engine, id, ["sh", "-c", "ln -s folder/file.txt link; mkfifo pipe"]);
      expect(await engine.statPath(id, "/workspace/folder/file.txt")).toMatchObject({
        name: "file.txt",
        type: "file",
        size: Buffer.byteLength("content ☃"),
        mode: 0o640,
        linkTarget: undefined,
      });
      expect(await engine.statPath(id, "/workspace/folder")).toMatchObject({ type: "dir" });
      expect(await engine.statPath(id, "/workspace/link")).toMatchObject({
        name: "link",
        type: "symlink",
        linkTarget: "/workspace/folder/file.txt",
      });
      expect(await engine.statPath(id, "/workspace/pipe")).toMatchObject({ type: "other" });
      expect(await engine.statPath(id, "/workspace/none")).toBeUndefined();
      expect(await engine.statPath(id, "/workspace/folder/file.txt/none")).toBeUndefined();
      const [link] = await entriesOf(await engine.readArchive(id, "/workspace/link"));
      expect(link).toMatchObject({ name: "link", type: "symlink", link: "folder/file.txt" });
    });

    test("replace files, keep folders, and never put one in the other's place", async () => {
      const { engine } = bench;
      const id = await engine.createContainer(bench.spec("archive-replace"));
      await engine.writeArchive(id, "/workspace", await files());
      await engine.writeArchive(
        id,
        "/workspace/folder",
        await tarOf([{ name: "file.txt", mode: 0o600, data: Buffer.from("new") }]),
      );
      const [file] = await entriesOf(await engine.readArchive(id, "/workspace/folder/file.txt"));
      expect(file).toMatchObject({ text: "new", mode: 0o600 });
      await expect(
        engine.writeArchive(
          id,
          "/workspace/folder",
          await tarOf([{ name: "file.txt", mode: 0o755 }]),
        ),
      ).rejects.toMatchObject({ kind: "failed" });
      await expect(
        engine.writeArchive(
          id,
          "/workspace",
          await tarOf([{ name: "folder", mode: 0o644, data: Buffer.from("x") }]),
        ),
      ).rejects.toMatchObject({ kind: "failed" });
    });

    test("take a stream as well as a buffer", async () => {
      const { engine } = bench;
      const id = await engine.createContainer(bench.spec("archive-stream"));
      const archive = pack();
      const large = Buffer.alloc(3 * 1024 ** 2, "large");
      archive.entry({ name: "large.bin", mode: 0o644 }, large);
      archive.finalize();
      await engine.writeArchive(id, "/workspace", Readable.from(archive, { objectMode: false }));
      const [file] = await entriesOf(await engine.readArchive(id, "/workspace/large.bin"));
      expect(file?.text.length).toBe(large.length);
    });

    test("refuse a path that isn't there, a folder that is a file, and bytes that are no archive", async () => {
      const { engine } = bench;
      const id = await engine.createContainer(bench.spec("archive-wrong"));
      await engine.writeArchive(id, "/workspace", await files());
      await expect(engine.readArchive(id, "/workspace/none")).rejects.toMatchObject({
        kind: "not_found",
      });
      await expect(engine.writeArchive(id, "/none", await files())).rejects.toMatchObject({
        kind: "not_found",
      });
      await expect(
        engine.writeArchive(id, "/workspace/folder/file.txt", await files()),
      ).rejects.toMatchObject({ kind: "failed" });
      const noArchive = Buffer.alloc(2048, "no archive");
      await expect(engine.writeArchive(id, "/workspace", noArchive)).rejects.toMatchObject({
        kind: "failed",
      });
    });

    test("write to a volume but not to a root that is read-only", async () => {
      const { engine, ours } = bench;
      const id = await engine.createContainer(
        bench.spec("archive-ro", {
          readonlyRootfs: true,
          volumes: [
            {
              source: bench.name("vol-ro"),
              target: "/workspace",
              readonly: false,
              copyUp: true,
              labels: ours,
            },
          ],
        }),
      );
      await engine.writeArchive(id, "/workspace", await files());
      await expect(engine.writeArchive(id, "/etc", await files())).rejects.toMatchObject({
        kind: "failed",
      });
    });

    test("follow symlinks inside the container's root, never out of it", async () => {
      const { engine } = bench;
      const id = await bench.running("archive-links");
      await runExec(engine, id, ["sh", "-c", "ln -s ../../../../../workspace up; ln -s / root"]);
      await engine.writeArchive(id, "/workspace/up", await files());
      expect(await engine.statPath(id, "/workspace/folder/file.txt")).toMatchObject({
        type: "file",
      });
      expect(await engine.statPath(id, "/workspace/root/workspace/folder")).toMatchObject({
        type: "dir",
      });
    });
  });
}
