import { once } from "node:events";
import { describe, expect, test } from "vitest";
import type { Engine, EngineExecSpec } from "../../packages/api/src/engine/engine.js";
import type { Bench } from "./engine-contract.js";

const SPEC = { env: {}, cwd: "/workspace", user: "1001:1001", stdin: false };

/** Runs a command to its end. */
export async function runExec(
  engine: Engine,
  id: string,
  argv: string[],
  options: Partial<EngineExecSpec> & { input?: string | Buffer } = {},
) {
  const { input, ...changes } = options;
  const exec = await engine.exec(id, { ...SPEC, stdin: input !== undefined, ...changes, argv });
  if (input !== undefined) exec.stdin.end(input);
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for await (const { stream, data } of exec.output) output[stream].push(Buffer.from(data));
  await expect.poll(async () => (await exec.inspect()).running, { timeout: 5000 }).toBe(false);
  return {
    stdout: Buffer.concat(output.stdout).toString(),
    stderr: Buffer.concat(output.stderr).toString(),
    exitCode: (await exec.inspect()).exitCode,
  };
}

/** Commands in containers, and the first process's own streams. */
export function execContract(bench: Bench): void {
  describe("exec", () => {
    test("keeps stdout and stderr apart and tells the exit code", async () => {
      const id = await bench.running("exec");
      const run = (script: string) => runExec(bench.engine, id, ["sh", "-c", script]);
      expect(await run("echo out; echo err >&2; exit 3")).toEqual({
        stdout: "out\n",
        stderr: "err\n",
        exitCode: 3,
      });
      expect(await run("true")).toEqual({ stdout: "", stderr: "", exitCode: 0 });
      expect((await run("kill -9 $$")).exitCode).toBe(137);
      expect((await run("kill -TERM $$")).exitCode).toBe(143);
    });

    test("passes arguments as they are", async () => {
      const id = await bench.running("exec-args");
      const args = ["a b", "", "$HOME", "'\"\\", "ü\n☃"];
      const { stdout } = await runExec(bench.engine, id, ["printf", "<%s>", ...args]);
      expect(stdout).toBe(args.map((each) => `<${each}>`).join(""));
    });

    test("adds its environment to the container's", async () => {
      const id = await bench.running("exec-env", { env: { KEPT: "1", CHANGED: "1" } });
      const { stdout } = await runExec(
        bench.engine,
        id,
        ["sh", "-c", 'echo "$KEPT $CHANGED $NEW"'],
        {
          env: { CHANGED: "2", NEW: "x=y z" },
        },
      );
      expect(stdout).toBe("1 2 x=y z\n");
    });

    test("runs in the folder asked for", async () => {
      const id = await bench.running("exec-cwd");
      await runExec(bench.engine, id, ["sh", "-c", "mkdir -p a/b; echo here > a/b/file"]);
      const { stdout } = await runExec(bench.engine, id, ["cat", "file"], {
        cwd: "/workspace/a/b",
      });
      expect(stdout).toBe("here\n");
    });

    test("a command or folder that isn't there ends with 126 and the reason as output", async () => {
      const id = await bench.running("exec-missing");
      const command = await runExec(bench.engine, id, ["no-such-program"]);
      expect(command).toMatchObject({ exitCode: 126, stderr: "" });
      expect(command.stdout).toMatch(/exec failed.*no-such-program.*not found/);
      const folder = await runExec(bench.engine, id, ["true"], { cwd: "/no/such" });
      expect(folder).toMatchObject({ exitCode: 126, stderr: "" });
      expect(folder.stdout).toMatch(/exec failed.*chdir.*\/no\/such.*no such file/);
    });

    test("feeds stdin, binary and large, and ends it", async () => {
      const id = await bench.running("exec-stdin");
      const input = Buffer.alloc(1024 ** 2, Buffer.from([0, 255, 10, 13, 128]));
      const { stdout } = await runExec(bench.engine, id, ["sh", "-c", "cksum; wc -c < /dev/null"], {
        input,
      });
      expect(stdout).toMatch(new RegExp(`^\\d+ ${input.length}\\n0\\n$`));
    });

    test("without stdin the command reads an end at once", async () => {
      const id = await bench.running("exec-nostdin");
      expect(await runExec(bench.engine, id, ["cat"])).toMatchObject({ stdout: "", exitCode: 0 });
    });

    test("gives output while the command runs, and in order", async () => {
      const id = await bench.running("exec-live");
      const exec = await bench.engine.exec(id, { ...SPEC, argv: ["cat"], stdin: true });
      const pieces = exec.output[Symbol.asyncIterator]();
      for (const word of ["one", "two", "three"]) {
        exec.stdin.write(`${word}\n`);
        expect((await pieces.next()).value).toMatchObject({ stream: "stdout" });
      }
      expect(await exec.inspect()).toMatchObject({ running: true, exitCode: undefined });
      expect((await exec.inspect()).pid).toBeGreaterThan(0);
      exec.stdin.end();
      expect((await pieces.next()).done).toBe(true);
      await expect.poll(() => exec.inspect()).toMatchObject({ running: false, exitCode: 0 });
    });

    test("holds the command back until its output is read, and loses nothing", async () => {
      const id = await bench.running("exec-slow");
      const size = 8 * 1024 ** 2;
      const exec = await bench.engine.exec(id, {
        ...SPEC,
        argv: ["sh", "-c", `head -c ${size} /dev/zero`],
      });
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect((await exec.inspect()).running).toBe(true);
      let bytes = 0;
      for await (const { data } of exec.output) bytes += data.length;
      expect(bytes).toBe(size);
    });

    test("closing drops the connection, and the command goes on", async () => {
      const id = await bench.running("exec-close");
      const script = "sleep 0.3; echo more; touch done";
      const exec = await bench.engine.exec(id, { ...SPEC, argv: ["sh", "-c", script] });
      exec.close();
      await expect
        .poll(() => bench.engine.statPath(id, "/workspace/done"), { timeout: 5000 })
        .toBeDefined();
    });

    test("in a container that doesn't run it is a conflict", async () => {
      const { engine } = bench;
      const conflict = { kind: "conflict" };
      const id = await engine.createContainer(bench.spec("exec-states"));
      const exec = () => engine.exec(id, { ...SPEC, argv: ["true"] });
      await expect(exec()).rejects.toMatchObject(conflict);
      await engine.startContainer(id);
      await exec();
      await engine.pauseContainer(id);
      await expect(exec()).rejects.toMatchObject(conflict);
      await engine.stopContainer(id, 0);
      await expect(exec()).rejects.toMatchObject(conflict);
    });

    test("a pause freezes the command, an unpause lets it go on", async () => {
      const { engine } = bench;
      const id = await bench.running("exec-frozen");
      const exec = await engine.exec(id, { ...SPEC, argv: ["cat"], stdin: true });
      const pieces = exec.output[Symbol.asyncIterator]();
      await engine.pauseContainer(id);
      exec.stdin.write("through\n");
      const next = pieces.next();
      const early = await Promise.race([
        next,
        new Promise((done) => setTimeout(done, 200, "none")),
      ]);
      expect(early).toBe("none");
      await engine.unpauseContainer(id);
      expect((await next).value?.data.toString()).toBe("through\n");
      exec.stdin.end();
    });

    test("ends with its container", async () => {
      const { engine } = bench;
      const id = await bench.running("exec-removed");
      const exec = await engine.exec(id, { ...SPEC, argv: ["sleep", "60"] });
      const ended = (async () => {
        for await (const _piece of exec.output);
      })().catch(() => {});
      await engine.removeContainer(id);
      await ended;
    });
  });

  describe("attach", () => {
    const cat = { command: ["cat"], init: false };

    test("speaks to the first process; a closed connection leaves it running for the next", async () => {
      const { engine } = bench;
      const id = await bench.running("attach", cat);
      for (const word of ["first", "second"]) {
        const streams = await engine.attach(id);
        streams.stdin.write(`${word}\n`);
        const [data] = (await once(streams.stdout, "data")) as [Buffer];
        expect(data.toString()).toBe(`${word}\n`);
        streams.close();
      }
      expect((await engine.inspectContainer(id)).state).toBe("running");
    });

    test("connects before the start, to miss nothing", async () => {
      const { engine } = bench;
      const id = await engine.createContainer(
        bench.spec("attach-early", { command: ["sh", "-c", "echo first words; cat"] }),
      );
      const streams = await engine.attach(id);
      const data = once(streams.stdout, "data");
      await engine.startContainer(id);
      expect(String((await data)[0])).toBe("first words\n");
      streams.close();
    });

    test("ends when the container stops", async () => {
      const { engine } = bench;
      const id = await bench.running("attach-stop", cat);
      const { stdout } = await engine.attach(id);
      stdout.resume();
      const ended = once(stdout, "close");
      await engine.stopContainer(id, 0);
      await ended;
    });

    test("closing harms nobody, however often and whoever listens", async () => {
      const { engine } = bench;
      const id = await bench.running("attach-close", cat);
      const streams = await engine.attach(id);
      streams.stdout.resume();
      streams.close();
      streams.close();
      await new Promise((resolve) => setTimeout(resolve, 50));
      streams.stdin.write("into the void");
      await new Promise((resolve) => setTimeout(resolve, 50));
    });

    test("to a paused container is a conflict", async () => {
      const id = await bench.running("attach-paused", cat);
      await bench.engine.pauseContainer(id);
      await expect(bench.engine.attach(id)).rejects.toMatchObject({ kind: "conflict" });
    });
  });
}
