import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfig } from "../../clawdbot/plugins/clawdspace/src/config.js";
import plugin from "../../clawdbot/plugins/clawdspace/src/index.js";
import { createBackend } from "../../clawdbot/plugins/clawdspace/src/sandbox/backend.js";
import type { Sandbox } from "../../clawdbot/plugins/clawdspace/src/sandbox/seam.js";
import { type Daemon, startDaemon } from "../support/daemon.js";

const EXEC = resolve(
  import.meta.dirname,
  "../../clawdbot/plugins/clawdspace/build/package/dist/exec.js",
);
const ALL = { PATH: "/host/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

let daemon: Daemon;
let workspaceDir: string;
let sandbox: Sandbox;

beforeAll(async () => {
  daemon = await startDaemon();
  workspaceDir = await mkdtemp(join(tmpdir(), "clawdspace-workspace-"));
  await writeFile(join(workspaceDir, "brought.txt"), "from the host");
  sandbox = await make("agent:main");
});
afterAll(async () => {
  await daemon?.stop();
  await rm(workspaceDir, { recursive: true, force: true });
});

const backend = (more: object = {}) =>
  createBackend(
    () =>
      readConfig({
        ...{ baseUrl: daemon.url, apiKey: daemon.key },
        sandbox: { template: "offline", memory: "256m" },
        ...more,
      }),
    EXEC,
  );
const make = async (scopeKey: string, more: object = {}) =>
  await backend(more).factory({ scopeKey, workspaceDir, cfg: { workspaceAccess: "rw" } });

/** Runs a command as the host does: a process by the spec, and `finalizeExec` when that is over. */
async function run(
  command: string,
  { input, usePty = false, killAt }: { input?: string; usePty?: boolean; killAt?: string } = {},
) {
  const spec = await sandbox.buildExecSpec({ command, env: ALL, usePty });
  const [program = "", ...args] = spec.argv;
  expect(spec.argv.join()).not.toContain(daemon.key);
  const child = spawn(program, args, { env: spec.env });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
      if (killAt !== undefined && output[name].includes(killAt)) child.kill("SIGKILL");
    });
  }
  if (spec.stdinMode === "pipe-closed") child.stdin.end();
  else if (input !== undefined) child.stdin.write(input);
  const [exitCode] = await once(child, "close");
  await sandbox.finalizeExec({ token: spec.finalizeToken });
  return { ...output, exitCode };
}

test("a command's output, exit code and environment come through, of any length", async () => {
  const ran = await run("cat brought.txt; echo err >&2; env; exit 3");
  expect(ran).toMatchObject({ exitCode: 3, stderr: "err\n" });
  expect(ran.stdout).toContain("from the host");
  for (const hidden of [daemon.key, "/host/bin", "CLAWDSPACE_EXEC"]) {
    expect(ran.stdout).not.toContain(hidden);
  }
  const long = await run(
    `echo ${"é".repeat(60_000)} | wc -m; head -c 3000000 /dev/zero | tr '\\0' x`,
  );
  expect(long.stdout).toHaveLength(3_000_000 + "60001\n".length);
  expect(await run("cat")).toMatchObject({ exitCode: 0, stdout: "" });
});

test("a terminal takes input, and goes with its process on the host however that ends", async () => {
  const typed = await run("stty size; read line; echo got $line; exit 4", {
    input: "hello\n",
    usePty: true,
  });
  expect(typed.exitCode).toBe(4);
  expect(typed.stdout).toMatch(/30 120[\s\S]*got hello/);
  await run("echo up; sleep 4244", { usePty: true, killAt: "up" });
  await run("echo up; sleep 4244", { killAt: "up" });
  const sleepers = async () =>
    `${(await sandbox.runShellCommand({ script: "pgrep -fxc 'sleep 4244'; true" })).stdout}`.trim();
  await expect.poll(sleepers, { timeout: 30_000 }).toBe("0");
});

test("files by paths of both sides, and none outside of the workspace", async () => {
  const files = sandbox.createFsBridge({ sandbox: { workspaceDir } });
  const text = async (filePath: string, cwd?: string) =>
    `${await files.readFile({ filePath, cwd })}`;
  await files.writeFile({ filePath: "a/b.txt", data: "one", cwd: workspaceDir });
  for (const path of ["a/b.txt", "/workspace/a/b.txt", join(workspaceDir, "a/b.txt")]) {
    expect(await text(path, "/workspace"), path).toBe("one");
  }
  expect(await text("b.txt", join(workspaceDir, "a"))).toBe("one");
  expect(files.resolvePath({ filePath: "b.txt", cwd: "/workspace/a" })).toEqual({
    relativePath: "a/b.txt",
    containerPath: "/workspace/a/b.txt",
  });
  expect(await files.createFileExclusive({ filePath: "a/b.txt", data: "" })).toBe("exists");
  expect(await files.createFileExclusive({ filePath: "c.txt", data: "c" })).toBe("created");
  await files.rename({ from: "c.txt", to: "a/b.txt" });
  await files.copyFile({ sourcePath: "a/b.txt", destinationPath: "d.txt" });
  expect(await text("d.txt")).toBe("c");
  expect(await files.readDirectory({ filePath: "." })).toEqual(
    expect.arrayContaining([
      { name: "a", isDirectory: true },
      { name: "d.txt", isDirectory: false },
    ]),
  );
  expect(await files.stat({ filePath: "d.txt" })).toMatchObject({ type: "file", size: 1 });
  expect(await files.stat({ filePath: "a" })).toMatchObject({ type: "directory" });
  await files.remove({ filePath: "a", recursive: true });
  expect(await files.stat({ filePath: "a" })).toBeNull();
  await files.remove({ filePath: "a" });
  await expect(files.remove({ filePath: "a", force: false })).rejects.toThrow();
  await expect(files.readFile({ filePath: "d.txt", maxBytes: 0 })).rejects.toThrow("at most 0");
  await expect(files.readFile({ filePath: "a" })).rejects.toMatchObject({ code: "ENOENT" });

  await sandbox.runShellCommand({ script: "ln -s /etc/hostname out" });
  await expect(files.readFile({ filePath: "out" })).rejects.toThrow();
  for (const filePath of ["/etc/passwd", "../x", `${workspaceDir}-other/x`]) {
    expect(() => files.resolvePath({ filePath, cwd: "/workspace" }), filePath).toThrow("outside");
  }
  expect(await sandbox.validateWorkdir("/workspace")).toBe("/workspace");
  expect(await sandbox.validateWorkdir("/workspace/none")).toBeNull();
});

test("an agent's skills come along, and again when they change", async () => {
  const skillsWorkspaceDir = join(workspaceDir, "..", `${basename(workspaceDir)}-skills`);
  const skill = join(skillsWorkspaceDir, "skills/one/SKILL.md");
  const seen = async () => {
    const request = { scopeKey: "agent:main", workspaceDir, skillsWorkspaceDir };
    const made = await again.factory({ ...request, cfg: { workspaceAccess: "rw" } });
    const script = "cat .openclaw/sandbox-skills/skills/*/*";
    return `${(await made.runShellCommand({ script, allowFailure: true })).stdout}`;
  };
  const again = backend();
  expect(await seen()).toBe("");
  await mkdir(dirname(skill), { recursive: true });
  try {
    for (const text of ["first", "second"]) {
      await writeFile(skill, text);
      expect(await seen()).toBe(text);
    }
    // Unchanged on the host: what the agent made of its copy stays.
    await sandbox.runShellCommand({ script: "echo own > .openclaw/sandbox-skills/skills/one/x" });
    expect(await seen()).toBe("secondown\n");
  } finally {
    await rm(skillsWorkspaceDir, { recursive: true, force: true });
  }
});

test("an agent's run that is aborted ends its command, by the plugin's tool", async () => {
  const tools: { execute(id: string, params: object, signal: AbortSignal): Promise<unknown> }[] =
    [];
  plugin.register({
    pluginConfig: { baseUrl: daemon.url, apiKey: daemon.key },
    registerTool: (tool: never) => tools.push(tool),
    registerGatewayMethod: () => {},
    registerCli: () => {},
  });
  const abort = new AbortController();
  const params = { action: "exec", space: sandbox.runtimeId, command: "sleep 4245" };
  const running = tools[0]?.execute("1", params, abort.signal);
  const ended = expect(running).rejects.toThrow();
  const sleepers = async () =>
    `${(await sandbox.runShellCommand({ script: "pgrep -fxc 'sleep 4245'; true" })).stdout}`.trim();
  await expect.poll(sleepers, { timeout: 30_000 }).toBe("1");
  abort.abort();
  await ended;
  await expect.poll(sleepers, { timeout: 30_000 }).toBe("0");
});

test("one space for each scope, found again, listed and removed, and none that is denied", async () => {
  const [again, other] = await Promise.all([make("agent:main"), make("agent:main:second")]);
  expect(again.runtimeId).toBe(sandbox.runtimeId);
  expect(other.runtimeId).toMatch(/^agent-main-second-[0-9a-f]{10}$/);
  const entry = { containerName: other.runtimeId };
  expect(await backend().manager.describeRuntime({ entry })).toEqual({
    ...{ running: true, actualConfigLabel: "offline", configLabelMatch: true },
  });
  const changed = backend({ sandbox: { template: "default" } });
  expect(await changed.manager.describeRuntime({ entry })).toMatchObject({
    configLabelMatch: false,
  });
  const denying = backend({ denySpaces: [other.runtimeId] });
  await expect(denying.manager.removeRuntime({ entry })).rejects.toThrow("does not allow");
  expect(await denying.manager.describeRuntime({ entry })).toMatchObject({ running: false });
  await expect(make("agent:main:second", { denySpaces: [other.runtimeId] })).rejects.toThrow(
    "does not allow",
  );
  await backend().manager.removeRuntime({ entry });
  await backend().manager.removeRuntime({ entry });
  expect((await daemon.json("GET", `/api/spaces/${other.runtimeId}`)).status).toBe(404);
});
