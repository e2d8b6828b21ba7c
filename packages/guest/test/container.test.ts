import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { docker, dockerHost } from "../../../test/support/daemon.js";
import { DockerEngine } from "../../api/src/engine/docker-engine.js";
import { GuestConnection } from "../../api/src/guest/index.js";
import { openHostPipes } from "../../api/src/processes/host-pipes.js";
import { BINARY, collect, ENV, make, until } from "./support.js";

// The agent as PID 1 of a hardened container, and programs in it that mean harm.

const IMAGE = process.env.CLAWDSPACE_IMAGE ?? "clawdspace:latest";
const MIB = 1 << 20;
const engine = new DockerEngine(dockerHost);

type Space = Awaited<ReturnType<typeof space>>;

async function space(limits: { pids?: number; memory?: number } = {}) {
  make("build/clawdspace-guest");
  const container = await docker.createContainer({
    name: `guest-test-${randomBytes(4).toString("hex")}`,
    Image: IMAGE,
    Cmd: ["/guest"],
    Entrypoint: [],
    User: "1001:1001",
    Labels: { "clawdspace.test": "guest" },
    OpenStdin: true,
    StdinOnce: false,
    HostConfig: {
      Binds: [`${BINARY}:/guest:ro`],
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      ReadonlyRootfs: true,
      NetworkMode: "none",
      LogConfig: { Type: "none", Config: {} },
      PidsLimit: limits.pids ?? 256,
      Memory: limits.memory ?? 512 * MIB,
      MemorySwap: limits.memory ?? 512 * MIB,
      Tmpfs: { "/tmp": "rw,mode=1777", "/workspace": "rw,uid=1001,gid=1001,size=32m" },
    },
  });
  await container.start();
  const { State } = await container.inspect();
  const connection = await GuestConnection.open((signal) => engine.attach(container.id, signal));
  // As a daemon on the engine's own machine does.
  connection.preferPipes((pipes) => openHostPipes(container.id, State.Pid, pipes));
  const run = (argv: string[]) =>
    connection.run({ argv, env: { PATH: ENV.PATH }, cwd: "/workspace", onFull: "drop" });
  return {
    connection,
    container,
    pid: State.Pid,
    run,
    sh: async (script: string) => {
      const { stdout, stderr, exit } = await collect(run(["sh", "-c", script]).output);
      return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode: exit.exitCode };
    },
    python: async (script: string) => {
      const { stdout, stderr } = await collect(run(["python3", "-c", script]).output);
      return stdout.toString() + stderr.toString();
    },
    remove: async () => {
      connection.close();
      await container.remove({ force: true, v: true });
    },
  };
}

let shared: Space;

beforeAll(async () => {
  shared = await space();
});

afterAll(async () => {
  await shared.remove();
});

describe("as PID 1", () => {
  test("runs unprivileged", async () => {
    const { stdout } = await shared.sh("id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status");
    expect(stdout).toMatch(/^1001\nCapEff:\s0+\nNoNewPrivs:\s1\n$/);
  });

  test("idles in a mebibyte without waking up", async () => {
    const fresh = await space();
    await fresh.connection.ping();
    const rollup = readFileSync(`/proc/${fresh.pid}/smaps_rollup`, "utf8");
    expect(Number(/^Rss:\s+(\d+) kB/m.exec(rollup)?.[1])).toBeLessThanOrEqual(1024);
    const switches = () =>
      /^voluntary_ctxt_switches:\s+(\d+)/m.exec(
        readFileSync(`/proc/${fresh.pid}/status`, "utf8"),
      )?.[1];
    const before = switches();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(switches()).toBe(before);
    await fresh.remove();
  });

  test("reaps orphans", async () => {
    await shared.sh("for i in 1 2 3 4 5; do (setsid sh -c 'sleep 0.1' &) ; done");
    await until("no zombie is left", async () =>
      (await shared.connection.processTable()).every((entry) => entry.state !== "Z"),
    );
  });

  test("does all file operations in its confinement", async () => {
    const { files } = shared.connection;
    await files.writeAll("/dir/f", Buffer.from("one"));
    await files.writeAll("/dir/f", Buffer.from("two"));
    await files.chmod("/dir/f", 0o640);
    expect((await files.readAll("/dir/f", { maxBytes: 10 })).data.toString()).toBe("two");
    expect((await files.list("/dir")).entries).toMatchObject([{ mode: 0o640, uid: 1001 }]);
    await files.copy("/dir", "/copy", { recursive: true });
    const watch = await shared.connection.watch("/", { recursive: true });
    await files.remove("/copy", { recursive: true });
    const first = await watch[Symbol.asyncIterator]().next();
    expect(first.value).toMatchObject({ type: "removed" });
    await expect(files.read("/../etc/passwd")).rejects.toMatchObject({ code: "outside" });
  });

  test("keeps terminals and connections", async () => {
    const server = shared.run([
      "python3",
      "-c",
      "import socket; s = socket.create_server(('127.0.0.1', 4000)); print('up', flush=True); c, _ = s.accept(); c.sendall(c.recv(9)); c.close()",
    ]);
    await server.output[Symbol.asyncIterator]().next();
    expect(await shared.connection.listeningPorts()).toMatchObject([
      { port: 4000, processId: server.id },
    ]);
    const stream = await shared.connection.connect(4000);
    stream.end("echo");
    expect(Buffer.concat(await stream.toArray()).toString()).toBe("echo");
    const terminal = shared.connection.run({
      argv: ["sh", "-c", "tty; stty size"],
      env: { PATH: ENV.PATH },
      cwd: "/",
      onFull: "follow",
      pty: { cols: 100, rows: 30 },
    });
    expect((await collect(terminal.output)).stdout.toString()).toMatch(/\/dev\/pts\/\d+\r\n30 100/);
  });
});

describe("programs that mean harm", () => {
  test("can't look into it, trace it, or open what it holds", async () => {
    const { stdout } = await shared.sh(
      "for f in environ maps mem; do cat /proc/1/$f >/dev/null 2>&1 && echo read $f; done; " +
        "ls /proc/1/fd >/dev/null 2>&1 && echo listed; echo x 2>/dev/null > /proc/1/fd/1 && echo wrote; " +
        "echo 1000 2>/dev/null > /proc/1/oom_score_adj && echo scored; echo done",
    );
    expect(stdout).toBe("done\n");
    const traced = await shared.python(`
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print([libc.ptrace(16, 1, 0, 0), ctypes.get_errno(), libc.syscall(438, libc.syscall(434, 1, 0), 1, 0), ctypes.get_errno()])`);
    expect(traced).toBe("[-1, 1, -1, 1]\n");
  });

  test("can't end it with any signal, forged ones included", async () => {
    const said = await shared.python(`
import ctypes, os, struct, signal
libc = ctypes.CDLL(None, use_errno=True)
for number in range(1, 65):
    try: os.kill(1, number)
    except OSError: pass
    # rt_sigqueueinfo with a sender of no pid
    info = struct.pack("iii", number, 0, -1) + bytes(116)
    libc.syscall(129, 1, number, info)
for _ in range(20000): os.kill(1, signal.SIGRTMAX)
print("sent")`);
    expect(said).toBe("sent\n");
    await shared.connection.ping();
    // Not frozen either, and it still reaps.
    expect((await shared.sh("echo alive")).stdout).toBe("alive\n");
  });

  test("can't limit its time, its files or its share of the processor", async () => {
    const said = await shared.python(`
import resource, os
def attempt(name, call):
    try: call(); print(name, "worked")
    except PermissionError: print(name, "refused")
attempt("cpu", lambda: resource.prlimit(1, resource.RLIMIT_CPU, (0, 0)))
attempt("nofile", lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0)))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, 1, 19))
attempt("affinity", lambda: os.sched_setaffinity(1, {0}))
attempt("scheduler", lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)))
resource.prlimit(0, resource.RLIMIT_NOFILE, (100, 100))
resource.prlimit(os.getpid(), resource.RLIMIT_CPU, (50, 50))
print([line.split()[3] for line in open("/proc/1/limits") if "cpu time" in line])`);
    expect(said).toBe(
      "cpu refused\nnofile refused\npriority refused\naffinity refused\nscheduler refused\n['unlimited']\n",
    );
  });

  test("can't speak for it, whatever descriptor they write to", async () => {
    const fresh = await space();
    const said = await fresh.python(`
import os
frames = b"\\x82\\x00\\x04\\x00\\x01\\x00\\x00\\x00dead" * 100 + b"\\x87" + bytes(7)
wrote = []
for pid in os.listdir("/proc"):
    if not pid.isdigit(): continue
    try: fds = os.listdir(f"/proc/{pid}/fd")
    except OSError: continue
    for fd in fds:
        try:
            out = os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
            os.write(out, frames)
            wrote.append(pid)
        except OSError: pass
import sys
print("1" in wrote, len(wrote) > 0, file=sys.stderr)`);
    expect(said).toContain("False True\n");
    expect((await fresh.sh("echo fine")).stdout).toBe("fine\n");
    await fresh.remove();
  });

  test("kill -9 -1 ends them and not it", async () => {
    const fresh = await space();
    const victim = fresh.run(["sleep", "60"]);
    await victim.started;
    await fresh.sh("kill -9 -1");
    expect((await collect(victim.output)).exit).toMatchObject({ signal: "SIGKILL" });
    expect((await fresh.sh("echo alive")).stdout).toBe("alive\n");
    await fresh.remove();
  });

  test("that stop every new process hold up nothing for good", async () => {
    const fresh = await space();
    const stopper = fresh.run([
      "python3",
      "-c",
      "import os, signal\nprint('go', flush=True)\nwhile True:\n  for p in os.listdir('/proc'):\n    if p.isdigit() and int(p) > 1 and int(p) != os.getpid():\n      try: os.kill(int(p), signal.SIGSTOP)\n      except OSError: pass",
    ]);
    await stopper.output[Symbol.asyncIterator]().next();
    const starts = Array.from({ length: 30 }, () =>
      fresh.run(["true"]).started.then(
        () => "started",
        (error) => error.code,
      ),
    );
    await Promise.all(starts);
    expect(await fresh.connection.ping()).toBeLessThan(5_000);
    await fresh.connection.signal(stopper.id, "SIGKILL", "all");
    expect((await fresh.sh("echo again")).stdout).toBe("again\n");
    await fresh.remove();
  });

  test("a fork bomb at the process limit is ended without forking", async () => {
    const fresh = await space({ pids: 64 });
    const bomb = fresh.run([
      "bash",
      "-c",
      'b() { setsid bash -c "$(declare -f b); b" & b | b & }; b; sleep 60',
    ]);
    await until("no process can be started", async () => {
      const { started } = fresh.run(["true"]);
      return started.then(
        () => false,
        (error) => error.code === "limit",
      );
    });
    await fresh.connection.ping();
    await fresh.connection.signal(bomb.id, "SIGKILL", "all");
    await until("it is gone", async () => {
      await fresh.connection.signal(bomb.id, "SIGKILL", "all");
      return (await fresh.connection.processTable()).length === 1;
    });
    expect((await fresh.sh("echo alive")).stdout).toBe("alive\n");
    await fresh.remove();
  });

  test("memory that runs out takes the program", async () => {
    const fresh = await space({ memory: 64 * MIB });
    const flood = fresh.run([
      "python3",
      "-c",
      "import sys\nsys.stdout.write('x' * 2000000)\nx = [bytearray(1 << 20) for _ in range(10000)]",
    ]);
    expect((await collect(flood.output)).exit).toMatchObject({ signal: "SIGKILL" });
    expect((await fresh.sh("sleep 0.1; cat /proc/self/oom_score_adj")).stdout).toBe("500\n");
    expect((await fresh.container.inspect()).State.Running).toBe(true);
    await fresh.remove();
  });

  test("a full workspace is said and recovers", async () => {
    await shared.sh("head -c 100000000 /dev/zero > /workspace/full");
    await expect(
      shared.connection.files.writeAll("/more", Buffer.alloc(100_000)),
    ).rejects.toMatchObject({ code: "no_space" });
    await shared.connection.files.remove("/full");
    await shared.connection.files.writeAll("/more", Buffer.alloc(100_000));
  });

  test("a flood of output holds up nobody", async () => {
    const flood = shared.run(["sh", "-c", "yes & yes >&2 & yes"]);
    await flood.started;
    expect((await shared.sh("echo fine")).stdout).toBe("fine\n");
    await shared.connection.signal(flood.id, "SIGKILL", "all");
  });
});

describe("the end", () => {
  test("docker stop ends everything in order within a second", async () => {
    const fresh = await space();
    const polite = fresh.run([
      "sh",
      "-c",
      "trap 'echo bye; exit 0' TERM; echo up; sleep 60 & wait",
    ]);
    const stubborn = fresh.run(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"]);
    for (const one of [polite, stubborn]) await one.output[Symbol.asyncIterator]().next();
    const before = performance.now();
    await fresh.container.stop({ t: 10 });
    expect(performance.now() - before).toBeLessThan(3_000);
    expect((await fresh.container.inspect()).State).toMatchObject({
      ExitCode: 0,
      OOMKilled: false,
    });
    await fresh.remove();
  });

  test("shutdown does the same with its own grace", async () => {
    const fresh = await space();
    fresh.run(["sleep", "60"]);
    const ended = fresh.container.wait();
    await fresh.connection.shutdown(5_000);
    expect(await ended).toMatchObject({ StatusCode: 0 });
    await fresh.remove();
  });

  test("after an unpause it goes on where it was", async () => {
    const { id, output } = shared.run(["sh", "-c", "echo one; sleep 0.2; echo two"]);
    const iterator = output[Symbol.asyncIterator]();
    await iterator.next();
    await shared.container.pause();
    await shared.container.unpause();
    const rest = await collect({ [Symbol.asyncIterator]: () => iterator });
    expect(rest.stdout.toString()).toBe("two\n");
    await shared.connection.forget(id);
  });
});
