import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";

let daemon: Daemon;

beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.space("safe");
  await daemon.space("sealed", { template: "readonly" });
  await daemon.space("neighbour", { memory: "64m" });
});

afterAll(() => daemon?.stop());

const sh = async (space: string, command: string | string[], options = {}) => {
  const { status, body } = await daemon.json("POST", `/api/spaces/${space}/exec`, {
    command,
    ...options,
  });
  expect(status).toBe(200);
  return body;
};

async function template(yaml: string): Promise<void> {
  const { status, body } = await daemon.json("PUT", "/api/templates", { yaml });
  expect([status, body.error]).toEqual([200, undefined]);
}

describe("a space's processes", () => {
  it("have no capability, no way to more, and the engine's seccomp filter", async () => {
    const { stdout } = await sh("safe", "cat /proc/self/status; id");
    const zero = "0000000000000000";
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      expect(stdout).toContain(`${set}:\t${zero}`);
    }
    expect(stdout).toContain("NoNewPrivs:\t1");
    expect(stdout).toContain("Seccomp:\t2");
    expect(stdout).toContain("uid=1001(sandbox) gid=1001(sandbox) groups=1001(sandbox)");
  });

  it.each(["safe", "sealed"])("can't escape from %s", async (space) => {
    const script = await readFile(join(import.meta.dirname, "../support/escape.py"), "utf8");
    const { stdout, stderr } = await sh(space, ["python3", "-c", script]);
    expect(stderr).toBe("");
    const { tried, worked } = JSON.parse(stdout);
    expect(tried).toBeGreaterThan(40);
    expect(worked).toEqual({});
  });

  it("can't end the first process, and leave no zombies", async () => {
    await sh("safe", "kill -9 1; kill -TERM 1; kill -STOP 1");
    await sh("safe", "for i in 1 2 3 4 5; do (sleep 0.05 &) ; done; sleep 0.3");
    const { stdout } = await sh("safe", "cat /proc/[0-9]*/stat");
    expect(stdout.split("\n").filter((line: string) => /\) Z /.test(line))).toEqual([]);
  });

  it("write where a read-only root lets them, and nowhere else", async () => {
    const { stdout } = await sh(
      "sealed",
      "for d in / /etc /usr /var/tmp /opt /srv; do touch $d/x 2>/dev/null && echo wrote $d; done; " +
        "for d in /workspace /tmp /run /home/sandbox; do touch $d/x || echo missed $d; done",
    );
    expect(stdout).toBe("");
  });
});

describe("the files API", () => {
  const PATHS = [
    "/out/passwd",
    "/passwd",
    "/deep/root/etc/passwd",
    "/../etc/passwd",
    "/%2e%2e/etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "/%252e%252e/etc/passwd",
    "/deep/../../etc/passwd",
    "//etc/passwd",
    "/proc/self/root/etc/passwd",
    "/a.txt%00.png",
    "/%00",
  ];
  const WAYS = ["file", "files/raw", "files/stat", "files/archive", "files"];

  beforeAll(async () => {
    await sh(
      "safe",
      "ln -s /etc out; ln -s ../etc/passwd passwd; mkdir deep; ln -s / deep/root; echo a >a.txt",
    );
  });

  it.each(PATHS)("never reads outside of the workspace by %s", async (path) => {
    for (const way of WAYS) {
      const answer = await daemon.request("GET", `/api/spaces/safe/${way}?path=${path}`);
      const text = await answer.text();
      expect(text).not.toContain("root:");
      expect(text).not.toContain("cm9vdD"); // "root:" in base64
      if (answer.ok && way === "files/stat") expect(text).toContain('"type":"symlink"');
      else expect([way, answer.status]).toEqual([way, expect.toSatisfy((each) => each >= 400)]);
    }
  });

  it.each(PATHS)("never writes outside of the workspace by %s", async (path) => {
    const before = (await sh("safe", "cat /etc/passwd | sha256sum; ls -l /etc")).stdout;
    const body = { contentBase64: Buffer.from("owned").toString("base64") };
    await daemon.request("PUT", `/api/spaces/safe/file?path=${path}`, body);
    await daemon.request("PUT", `/api/spaces/safe/files/raw?path=${path}`, Buffer.from("owned"));
    await daemon.request("DELETE", `/api/spaces/safe/files?path=${path}&recursive=true`);
    expect((await sh("safe", "cat /etc/passwd | sha256sum; ls -l /etc")).stdout).toBe(before);
    await sh("safe", "ln -sf /etc -T out; ln -sf ../etc/passwd passwd; ln -sf / -T deep/root");
  });
});

describe("what a space may use up", () => {
  it("is so many processes: a fork bomb leaves the node and the space alive", async () => {
    await template("name: few\nresources: { pids: 64 }\n");
    await daemon.space("bomb", { template: "few" });
    const bomb = "f() { f | f & }; f; sleep 60";
    const { timedOut, exitCode } = await sh("bomb", ["bash", "-c", bomb], { timeoutMs: 4000 });
    expect([timedOut ?? false, exitCode]).not.toEqual([false, 0]);
    expect((await sh("neighbour", "echo fine")).stdout).toBe("fine");
    await expect
      .poll(
        async () =>
          (await daemon.json("POST", "/api/spaces/bomb/exec", { command: "echo again" })).body,
        {
          timeout: 20_000,
        },
      )
      .toMatchObject({ stdout: "again", exitCode: 0 });
    const { body } = await daemon.json("GET", "/api/spaces/bomb/stats");
    expect(body.stats.pids).toBeLessThanOrEqual(64);
  });

  it("is so much memory: what takes more is killed in its space only", async () => {
    const hog = "x = bytearray(1 << 30)\nprint(len(x))";
    const { exitCode, stdout } = await sh("safe", ["python3", "-c", hog]);
    expect([exitCode, stdout]).toEqual([137, ""]);
    expect((await sh("safe", "echo fine")).stdout).toBe("fine");
    expect((await sh("neighbour", "echo fine")).stdout).toBe("fine");
  });

  it("counts what lies in /tmp, which has a size of its own", async () => {
    await template("name: small-tmp\nresources: { tmpfs: 8m }\n");
    await daemon.space("tmp", { template: "small-tmp" });
    const { stderr } = await sh(
      "tmp",
      "head -c 16m /dev/zero >/tmp/full; stat -c %s /tmp/full >&2",
    );
    expect(stderr).toContain("No space left on device");
    expect(stderr).toContain(`${8 * 1024 ** 2}`);
  });

  it("is so much disk: a full workspace is full at its size, and nobody else notices", async () => {
    await template("name: small-disk\nresources: { disk: 64m }\n");
    await daemon.space("disk", { template: "small-disk" });
    const { stderr, stdout } = await sh(
      "disk",
      "id -u; stat -c %u /workspace; dd if=/dev/zero of=/workspace/full bs=1M; stat -c %s /workspace/full; rm /workspace/full; echo fits >/workspace/after && cat /workspace/after",
    );
    expect(stderr).toContain("No space left on device");
    const [uid, owner, size, after] = stdout.split("\n");
    expect([uid, owner, after]).toEqual(["1001", "1001", "fits"]);
    expect(Number(size)).toBeGreaterThan(48 * 1024 ** 2);
    expect(Number(size)).toBeLessThan(64 * 1024 ** 2);
    await sh("neighbour", "head -c 100m /dev/zero >/workspace/big && rm /workspace/big");
    const { body } = await daemon.json("GET", "/api/spaces/disk");
    expect(body.space.security.limits.diskBytes).toBe(64 * 1024 ** 2);
  });

  it("keeps a disk with its volume, over restarts, and lets go of it with the volume", async () => {
    const container = docker.getContainer(`${daemon.namespace}-disk`);
    await container.stop({ t: 0 });
    await daemon.restart("SIGTERM");
    expect((await sh("disk", "cat /workspace/after")).stdout).toBe("fits");
    await daemon.json("DELETE", "/api/spaces/disk");
    const other = { name: "disk", memory: "256m" };
    await template("name: other-disk\nresources: { disk: 32m }\n");
    const refused = await daemon.json("POST", "/api/spaces", { ...other, template: "other-disk" });
    expect([refused.status, refused.body.error]).toEqual([422, expect.stringContaining("64m")]);
    await daemon.space("disk");
    expect((await sh("disk", "cat /workspace/after")).stdout).toBe("fits");
    expect(
      (await daemon.json("GET", "/api/spaces/disk")).body.space.security.limits.diskBytes,
    ).toBe(64 * 1024 ** 2);
    await daemon.json("DELETE", "/api/spaces/disk?removeVolume=true");
    const mounts = await readFile("/proc/self/mounts", "utf8");
    expect(mounts).not.toContain(`${daemon.namespace}-vol-disk`);
  });

  it("is never more disk than the node has", async () => {
    await template("name: huge-disk\nresources: { disk: 900t }\n");
    const request = { name: "huge", memory: "256m", template: "huge-disk" };
    const { status, body } = await daemon.json("POST", "/api/spaces", request);
    expect([status, body.code]).toEqual([422, expect.stringMatching(/unprocessable|insufficient/)]);
    expect((await daemon.json("GET", "/api/spaces/huge")).status).toBe(404);
  });
});

describe("what can't be enforced", () => {
  it("is refused with the reason: a runtime that the engine lacks", async () => {
    await template("name: strange\nsecurity: { runtime: kata }\n");
    const request = { name: "strange", memory: "256m", template: "strange" };
    const { status, body } = await daemon.json("POST", "/api/spaces", request);
    expect([status, body.error]).toEqual([422, expect.stringContaining('"kata"')]);
  });

  it("is refused with the reason: a seccomp profile that isn't there or is none", async () => {
    await template("name: profiled\nsecurity: { seccomp: mine.json }\n");
    const request = { name: "profiled", memory: "256m", template: "profiled" };
    const missing = await daemon.json("POST", "/api/spaces", request);
    expect([missing.status, missing.body.error]).toEqual([422, expect.stringContaining("ENOENT")]);
    const config = join(daemon.folder, "config");
    await mkdir(config, { recursive: true });
    await writeFile(join(config, "mine.json"), '{"syscalls": []}');
    const invalid = await daemon.json("POST", "/api/spaces", request);
    expect([invalid.status, invalid.body.error]).toEqual([
      422,
      expect.stringContaining("no seccomp"),
    ]);
  });
});

describe("a seccomp profile of one's own", () => {
  it("holds in place of the engine's, and shows", async () => {
    const profile = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
    };
    await writeFile(join(daemon.folder, "config/mine.json"), JSON.stringify(profile));
    await daemon.space("profiled", { template: "profiled" });
    const { stderr } = await sh("profiled", "mkdir /tmp/x");
    expect(stderr).toContain("Operation not permitted");
    const { body } = await daemon.json("GET", "/api/spaces/profiled");
    expect(body.space.security.seccomp).toBe("mine.json");
  });
});

describe("a space's security", () => {
  it("is told as the engine has it", async () => {
    await template(
      "name: all\nresources: { memory: 300m, cpus: 0.5, pids: 99, tmpfs: { /tmp: 9m } }\nsecurity: { writableRootfs: false }\nnetwork: { mode: lan, blockCidrs: [1.2.3.0/24] }\n",
    );
    const { status } = await daemon.json("POST", "/api/spaces", { name: "all", template: "all" });
    expect(status).toBe(201);
    const { body } = await daemon.json("GET", "/api/spaces/all");
    const { security } = body.space;
    const memoryBytes = 300 * 1024 ** 2;
    expect(security).toMatchObject({
      user: "1001:1001",
      capabilities: [],
      noNewPrivileges: true,
      seccomp: "default",
      runtime: "runc",
      readonlyRootfs: true,
      privileged: false,
      hostMounts: [],
      limits: { memoryBytes, memorySwapBytes: memoryBytes, cpus: 0.5, pids: 99 },
      network: { mode: "lan", allowedCidrs: [], enforcedBy: expect.stringContaining("iptables") },
    });
    expect(security.network.blockedCidrs).toEqual(
      expect.arrayContaining(["1.2.3.0/24", "169.254.169.254/32", "::/0"]),
    );
    expect(security.network.blockedCidrs).not.toContain("192.168.0.0/16");
    expect(security.tmpfs["/tmp"]).toContain(`size=${9 * 1024 ** 2}`);
    expect(security.maskedPaths).toContain("/proc/kcore");
    const info = await docker.getContainer(`${daemon.namespace}-all`).inspect();
    expect(info.HostConfig.PidsLimit).toBe(security.limits.pids);
    expect(info.HostConfig.Binds ?? []).toEqual([]);
  });
});

describe("a template", () => {
  it("can be deleted while a space made from it goes on with its own spec", async () => {
    await daemon.json("DELETE", "/api/templates/all");
    const { body } = await daemon.json("GET", "/api/spaces/all");
    expect(body.space.security.limits.pids).toBe(99);
    expect((await sh("all", "echo on")).stdout).toBe("on");
    const gone = await daemon.json("POST", "/api/spaces", { name: "none", template: "all" });
    expect(gone.status).toBe(404);
  });

  it("gives env and runs set-up, once, in the workspace; what the create says wins", async () => {
    await template(
      'name: ready\nenv: { COLOUR: red, SIZE: big }\nsetup:\n  - echo "$COLOUR $SIZE $(id -un) $PWD" >>setup.txt\n  - test -s setup.txt\n',
    );
    await daemon.space("ready", { template: "ready", env: { COLOUR: "blue" } });
    const { stdout } = await sh("ready", "cat setup.txt; echo $SIZE");
    expect(stdout).toBe("blue big sandbox /workspace\nbig");
  });

  it("whose set-up fails makes no space, and says what it wrote", async () => {
    await template("name: broken\nsetup: [echo before, 'echo it broke >&2; exit 3', echo after]\n");
    const request = { name: "broken", memory: "256m", template: "broken" };
    const { status, body } = await daemon.json("POST", "/api/spaces", request);
    expect(status).toBe(422);
    expect(body.error).toContain("it broke");
    expect(body.issues).toMatchObject([{ path: "setup.1" }]);
    const left = await docker.listContainers({
      all: true,
      filters: { label: [`clawdspace.namespace=${daemon.namespace}`, "clawdspace.space=broken"] },
    });
    expect(left).toEqual([]);
  });

  it("says when its spaces sleep", async () => {
    await template("name: sleepy\nsleep: { idleTimeout: 1s }\n");
    await daemon.space("sleepy", { template: "sleepy" });
    await expect
      .poll(async () => (await daemon.json("GET", "/api/spaces/sleepy")).body.space.status, {
        timeout: 30_000,
      })
      .toBe("paused");
    expect((await sh("sleepy", "echo awake")).stdout).toBe("awake");
  });
});
