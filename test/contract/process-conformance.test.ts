import { createHash, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { type Command, eventually, pidsOf, runBy, type Way } from "../support/processes.js";

const HOSTS = [
  ["the guest agent", "on"],
  ["execs of the engine", "off"],
] as const;
const WAYS: Way[] = ["exec", "background", "pty"];

// One suite for whatever runs processes, and for each way to run them.
describe.each(HOSTS)("processes by %s", (_what, guest) => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    await daemon.space("box", { env: { OF: "space", KEPT: "yes" } });
    const yaml = "name: rooted\ndescription: allows root\nsecurity:\n  allowRoot: true\n";
    expect((await daemon.json("PUT", "/api/templates", { yaml })).status).toBe(200);
    await daemon.space("rooted", { template: "rooted" });
  });
  afterAll(() => daemon?.stop());

  describe.each(WAYS)("%s", (way) => {
    const terminal = way === "pty";
    const run = async (command: Command | string | string[], space = "box") => {
      const whole = typeof command === "string" || Array.isArray(command) ? { command } : command;
      return await runBy(daemon, way, space, whole);
    };
    /** What a terminal prints ends its lines otherwise. */
    const textOf = async (command: Command | string | string[]) => {
      const outcome = await run(command);
      expect(outcome.status, outcome.code).toBe(200);
      expect(outcome.exitCode).toBe(0);
      return outcome.stdout.toString().replaceAll("\r\n", "\n");
    };

    test.each([
      ["true", 0],
      ["exit 3", 3],
      ["exit 255", 255],
      ["kill -TERM $$", 143],
      ["kill -KILL $$", 137],
      ["kill -SEGV $$", 139],
    ])("%s ends with %i", async (command, exitCode) => {
      expect(await run(command)).toMatchObject({ exitCode, timedOut: false });
    });

    test("arguments arrive as they are", async () => {
      const odd = [
        "",
        " a  b ",
        "'\"`$HOME\\",
        "*",
        "-n",
        "é☃🚀",
        "line\nbreak",
        "x".repeat(100_000),
      ];
      expect(await textOf(["printf", "<%s>", ...odd])).toBe(
        odd.map((each) => `<${each}>`).join(""),
      );
    });

    test("a string runs by sh -c", async () => {
      expect(await textOf("echo $((1 + 2)) | cat")).toBe("3\n");
    });

    test("the folder is /workspace, or what cwd says", async () => {
      expect(await textOf("pwd")).toBe("/workspace\n");
      expect(await textOf({ command: "pwd", cwd: "/usr/lib" })).toBe("/usr/lib\n");
      expect(await textOf("mkdir -p 'a b/c'; cd 'a b'; pwd")).toBe("/workspace/a b\n");
      expect(await textOf({ command: ["pwd"], cwd: "a b/c" })).toBe("/workspace/a b/c\n");
    });

    test("a folder that can't be entered is refused", async () => {
      for (const cwd of ["/nowhere", "/etc/passwd"]) {
        expect(await run({ command: "pwd", cwd })).toMatchObject({
          status: 400,
          code: "invalid_request",
        });
      }
    });

    test("the environment is the space's, the request's wins", async () => {
      const env = { OF: "request", NEW: "a\nb 'c'", EMPTY: "" };
      const show = 'printf "%s|" "$OF" "$KEPT" "$NEW" "$(env | grep -c ^EMPTY=$)"';
      expect(await textOf({ command: show, env })).toBe("request|yes|a\nb 'c'|1|");
      expect(await textOf('printf "%s|" "$OF" "$NEW"')).toBe("space||");
    });

    test("it runs as the space's user, without privileges", async () => {
      expect(await textOf("id -u; id -g; grep -c 'CapEff:.0*$' /proc/self/status")).toBe(
        "1001\n1001\n1\n",
      );
    });

    test("root only where the template allows it, and without privileges too", async () => {
      expect(await run({ command: "id -u", user: "root" })).toMatchObject({ status: 403 });
      const command = "id -u; echo $USER $HOME; grep -c 'CapEff:.0*$' /proc/self/status";
      const outcome = await run({ command, user: "root" }, "rooted");
      expect(outcome.stdout.toString().replaceAll("\r", "")).toBe("0\nroot /root\n1\n");
    });

    test("a program that can't be started ends as a shell would tell it", async () => {
      const outcomes = [await run(["no-such-program"]), await run(["/etc/passwd"])];
      if (way === "exec") {
        expect(outcomes.map(({ exitCode }) => exitCode)).toEqual([127, 126]);
        expect(outcomes[0]?.stderr.toString()).toContain("no-such-program: command not found");
      } else {
        expect(outcomes.map(({ status }) => status)).toEqual([422, 422]);
      }
    });

    test("stdout and stderr are told apart, in their order", async () => {
      const command = "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three";
      const { stdout, stderr } = await run(command);
      if (terminal) expect(stdout.toString()).toBe("one\r\ntwo\r\nthree\r\n");
      else expect([stdout.toString(), stderr.toString()]).toEqual(["one\nthree\n", "two\n"]);
    });

    test("every byte value arrives", async () => {
      const all = "import os; os.write(1, bytes(range(256)) * 3)";
      const raw = terminal ? "stty raw; " : "";
      const { stdout } = await run(`${raw}python3 -c '${all}'`);
      const expected = Buffer.from(Array.from({ length: 768 }, (_, index) => index % 256));
      expect(stdout.equals(expected)).toBe(true);
    });

    test("five MiB arrive whole and in order", async () => {
      const source = "import os,random; random.seed(7); os.write(3, random.randbytes(5 << 20))";
      const raw = terminal ? "stty raw; " : "";
      const command = `${raw}python3 -c '${source}' 3>data; sha256sum data | cut -c1-64 >sum; cat data`;
      const { stdout, exitCode } = await run(command);
      expect(exitCode).toBe(0);
      const sum = await runBy(daemon, "exec", "box", { command: "cat sum" });
      expect(createHash("sha256").update(stdout).digest("hex")).toBe(sum.stdout.toString().trim());
    });

    test("stdin arrives whole and ends", async () => {
      if (terminal) {
        // A terminal edits lines and echoes them; its end is a character.
        const { stdout } = await run({ command: "stty -echo; sleep 0.3; cat", stdin: "typed é\n" });
        expect(stdout.toString()).toMatch(/typed é\r\n$/);
        return;
      }
      expect(await textOf({ command: ["cat"], stdin: "typed é\n" })).toBe("typed é\n");
      expect(await textOf({ command: ["wc", "-c"], stdin: "" })).toBe("0\n");
      const bytes = randomBytes(1 << 20);
      const echoed = await run({ command: ["cat"], stdinBase64: bytes.toString("base64") });
      expect(echoed.stdout.equals(bytes)).toBe(true);
    });

    test("one that doesn't read its stdin ends all the same", async () => {
      if (terminal) return;
      const outcome = await run({ command: "echo done", stdin: "x".repeat(1 << 20) });
      expect(outcome).toMatchObject({ exitCode: 0 });
    });

    test("a time limit ends everything that was started", async () => {
      const command = `echo begun; setsid sleep 7101 & env -i sleep 7102 & (sleep 7103 &) ; sleep 7104`;
      const outcome = await run({ command, timeoutMs: 1000 });
      expect(outcome).toMatchObject({ exitCode: 137, timedOut: true });
      expect(outcome.stdout.toString()).toMatch(/^begun/);
      for (const seconds of [7101, 7102, 7103, 7104])
        expect(await pidsOf(daemon, "box", `sleep ${seconds}`)).toEqual([]);
    });

    test("what a command leaves behind doesn't hold up its end, and goes on", async () => {
      const left = `sleep 72${WAYS.indexOf(way)}0`;
      const { exitCode, stdout } = await run(`nohup ${left} & echo $!; sleep 0.2; exit 4`);
      expect(exitCode).toBe(4);
      expect(stdout.toString()).toMatch(/\d+\r?\n/);
      const [pid] = await pidsOf(daemon, "box", left);
      expect(pid).toBeDefined();
      await runBy(daemon, "exec", "box", { command: `kill -9 ${pid}` });
    });

    test("a fork bomb is ended by its time limit, and the space works on", async () => {
      const bomb = "bomb() { bomb | bomb & }; bomb; sleep 100";
      const outcome = await run({ command: ["bash", "-c", bomb], timeoutMs: 1500 });
      expect(outcome).toMatchObject({ timedOut: true });
      expect(await textOf("echo well")).toBe("well\n");
      await eventually(
        () => runBy(daemon, "exec", "box", { command: "ls -d /proc/[0-9]* | wc -l" }),
        ({ stdout }) => Number(stdout) < 20,
      );
    });

    test("a pause stops its clock, and it goes on after the wake", async () => {
      // A pause lets a command go on for two seconds first; this one takes longer, and with the pause than its limit.
      const command = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.6; done";
      const running = run({ command, timeoutMs: 5000 }, "rooted");
      await delay(400);
      const stop = await daemon.json("POST", "/api/spaces/rooted/stop");
      expect(stop.status, JSON.stringify(stop.body)).toBe(200);
      await delay(3000);
      expect((await daemon.json("POST", "/api/spaces/rooted/start")).status).toBe(200);
      const { stdout, exitCode, timedOut } = await running;
      expect(stdout.toString().replaceAll("\r", "")).toBe("1\n2\n3\n4\n5\n6\n");
      expect([exitCode, timedOut]).toEqual([0, false]);
    });
  });
});
