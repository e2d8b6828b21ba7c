import { describe, expect, test } from "vitest";
import { tarOf } from "../../packages/api/src/engine/tar.js";
import type { Bench } from "./engine-contract.js";

const MOUNT = { target: "/workspace", readonly: false, copyUp: true };

/** Volumes: made by hand or by a mount, held by containers in any state, gone when removed. */
export function volumeContract(bench: Bench): void {
  describe("volumes", () => {
    test("a mount makes the volume with the mount's labels", async () => {
      const { engine, ours } = bench;
      const labels = { ...ours, "contract.volume": "mount" };
      const source = bench.name("vol-mount");
      await engine.createContainer(
        bench.spec("vol-mount", { volumes: [{ ...MOUNT, source, labels }] }),
      );
      const found = await engine.listVolumes(labels);
      expect(found).toMatchObject([{ name: source, labels }]);
    });

    test("creating one that exists changes nothing", async () => {
      const { engine, ours } = bench;
      const name = bench.name("vol-again");
      await engine.createVolume(name, { ...ours, first: "1" });
      await engine.createVolume(name, { ...ours, second: "2" });
      const found = (await engine.listVolumes(ours)).filter((volume) => volume.name === name);
      expect(found).toHaveLength(1);
      expect(found[0]?.labels).toEqual({ ...ours, first: "1" });
      expect(found[0]?.createdAt).toBeInstanceOf(Date);
    });

    test("making one tells what it is then, and so does looking for it", async () => {
      const { engine, ours } = bench;
      const name = bench.name("vol-told");
      expect(await engine.findVolume(name)).toBeUndefined();
      const made = await engine.createVolume(name, { ...ours, first: "1" });
      expect(made).toMatchObject({ name, labels: { ...ours, first: "1" } });
      expect(made.mountpoint).toMatch(/^\//);
      const again = await engine.createVolume(name, { ...ours, second: "2" }, made.mountpoint);
      expect(again).toMatchObject({ name, labels: { ...ours, first: "1" } });
      expect(await engine.findVolume(name)).toMatchObject({ mountpoint: made.mountpoint });
    });

    test("one that is another's folder has its files, and leaves them when it is removed", async () => {
      const { engine, ours } = bench;
      const [source, alias] = [bench.name("vol-behind"), bench.name("vol-alias")];
      const behind = await bench.running("vol-behind", {
        volumes: [{ ...MOUNT, source, labels: ours }],
      });
      const { mountpoint } = await engine.createVolume(source, ours);
      await engine.createVolume(alias, { ...ours, "contract.alias": source }, mountpoint);
      const other = await bench.running("vol-alias", {
        volumes: [{ ...MOUNT, source: alias, labels: ours }],
      });
      const note = await tarOf([{ name: "note", mode: 0o644, data: Buffer.from("kept\n") }]);
      await engine.writeArchive(other, "/workspace", note);
      expect(await engine.statPath(behind, "/workspace/note")).toMatchObject({ size: 5 });
      await engine.removeContainer(other);
      await engine.removeVolume(alias);
      expect(await engine.statPath(behind, "/workspace/note")).toMatchObject({ size: 5 });
    });

    test("a volume in use can't be removed, whatever the container's state", async () => {
      const { engine, ours } = bench;
      const source = bench.name("vol-used");
      const volumes = [{ ...MOUNT, source, labels: ours }];
      const id = await engine.createContainer(bench.spec("vol-used", { volumes }));
      const conflict = { kind: "conflict" };
      await expect(engine.removeVolume(source)).rejects.toMatchObject(conflict);
      await engine.startContainer(id);
      await expect(engine.removeVolume(source)).rejects.toMatchObject(conflict);
      await engine.pauseContainer(id);
      await expect(engine.removeVolume(source)).rejects.toMatchObject(conflict);
      await engine.stopContainer(id, 0);
      await expect(engine.removeVolume(source)).rejects.toMatchObject(conflict);
      await engine.removeContainer(id);
      await engine.removeVolume(source);
      await engine.removeVolume(source);
      expect((await engine.listVolumes(ours)).map(({ name }) => name)).not.toContain(source);
    });

    test("the data stays when the container goes, and another finds it", async () => {
      const { engine, ours } = bench;
      const volumes = [{ ...MOUNT, source: bench.name("vol-kept"), labels: ours }];
      const first = await bench.running("vol-kept-1", { volumes });
      const exec = await engine.exec(first, {
        argv: ["sh", "-c", "echo kept > note"],
        env: {},
        cwd: "/workspace",
        user: "1001:1001",
        stdin: false,
      });
      for await (const _piece of exec.output);
      await engine.removeContainer(first);
      const second = await engine.createContainer(bench.spec("vol-kept-2", { volumes }));
      expect(await engine.statPath(second, "/workspace/note")).toMatchObject({ size: 5 });
    });
  });
}
