import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";

const TOKEN = "ghp_0123456789s3cretTOKEN";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.space("box");
  await run(
    [
      "set -e",
      "git config --global user.email a@example.com; git config --global user.name A",
      "git init -q --bare -b main bare.git",
      "git clone -q bare.git repo 2>/dev/null",
      "cd repo; git checkout -q -b main; echo one > file; git add .; git commit -q -m one",
    ].join("\n"),
  );
});
afterAll(() => daemon.stop());

async function run(command: string, options: object = {}) {
  const answer = await ask(daemon, "POST", "/api/spaces/box/exec", { command, ...options });
  expect(answer.body, JSON.stringify(answer.body)).toMatchObject({ exitCode: 0 });
  return answer.body.stdout as string;
}

const push = (body: object = {}) =>
  ask(daemon, "POST", "/api/spaces/box/git/push", { repoPath: "/repo", token: TOKEN, ...body });

describe("git push", () => {
  test("pushes the branch to the remote, with origin and main by default", async () => {
    const { status, body } = await push();
    expect(status).toBe(200);
    expect(body).toEqual({
      stdout: expect.any(String),
      stderr: expect.stringContaining("main"),
      exitCode: 0,
    });
    expect(await run("git -C bare.git log --format=%s main")).toBe("one");
    await run("cd repo && git checkout -q -b other && git commit -q --allow-empty -m two");
    await run("cd repo && git remote add second ../second.git && git init -q --bare ../second.git");
    expect((await push({ remote: "second", branch: "other" })).body).toMatchObject({ exitCode: 0 });
    expect(await run("git -C second.git log -1 --format=%s other")).toBe("two");
  });

  test("what git refuses is its own words and exit code, not an error", async () => {
    const missing = await push({ branch: "no-such" });
    expect(missing.status).toBe(200);
    expect(missing.body.exitCode).toBeGreaterThan(0);
    expect(missing.body.stderr).toContain("no-such");
    expect((await push({ remote: "nowhere" })).body.exitCode).toBeGreaterThan(0);
    expect((await push({ repoPath: "/not-a-repo" })).body.exitCode).toBeGreaterThan(0);
  });

  test("paths are rooted at /workspace", async () => {
    for (const repoPath of ["/repo", "repo", "/repo/", "/./repo"]) {
      expect((await push({ repoPath })).body, repoPath).toMatchObject({ exitCode: 0 });
    }
    expectError(await push({ repoPath: "/repo/../../etc" }), "invalid_request", "repoPath");
    await run("git init -q /tmp/elsewhere && ln -s /tmp links && ln -s ../tmp/elsewhere linked");
    for (const repoPath of ["/links/elsewhere", "/linked"]) {
      expectError(await push({ repoPath }), "invalid_request");
      const status = `/api/spaces/box/git/status?repoPath=${repoPath}`;
      expectError(await ask(daemon, "GET", status), "invalid_request");
    }
    const url = "https://127.0.0.1:1/x.git";
    const clone = { url, dest: "links/new/clone" };
    const cloned = await ask(daemon, "POST", "/api/spaces/box/git/clone", clone);
    expectError(cloned, "invalid_request");
    expect(cloned.body.error).toContain("leads out of the workspace");
    expect(await run("ls /tmp")).toBe("elsewhere");
  });

  test("the token reaches git alone: no file, no process list, no answer, no log, no hook, no configured helper", async () => {
    // Everything in the repository that could see or keep it tries to.
    await run(
      [
        "cd repo && git checkout -q main && git commit -q --allow-empty -m three",
        "printf '#!/bin/sh\\nenv > /workspace/seen-by-hook\\n' > .git/hooks/pre-push",
        "chmod +x .git/hooks/pre-push",
        "printf '#!/bin/sh\\ncat > /workspace/seen-by-helper; env >> /workspace/seen-by-helper\\n' > ../helper.sh",
        "chmod +x ../helper.sh",
        "git config credential.helper /workspace/helper.sh",
        "git config --global credential.helper store",
      ].join(" && "),
    );
    const watcher = run(
      "for i in $(seq 400); do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >> /tmp/cmdlines; sleep 0.01; done",
    );
    expect((await push()).body).toMatchObject({ exitCode: 0 });
    // One that asks for credentials and is refused.
    await run("cd repo && git remote add https https://127.0.0.1:1/x.git");
    const refused = await push({ remote: "https" });
    expect(refused.body.exitCode).toBeGreaterThan(0);
    expect(JSON.stringify(refused.body)).not.toContain(TOKEN);
    await watcher;
    const found = await run(
      `grep -rlF ${TOKEN.slice(0, 12)}${"''"}${TOKEN.slice(12)} /workspace /home/sandbox /tmp 2>/dev/null; true`,
    );
    expect(found).toBe("");
    expect(await run("ls /workspace")).not.toMatch(/seen-by/);
    expect(daemon.log).not.toContain(TOKEN);
    const inspected = await docker.getContainer(`${daemon.namespace}-box`).inspect();
    expect(JSON.stringify(inspected)).not.toContain(TOKEN);
  });

  test("a token in git's own words is masked", async () => {
    await run(`cd repo && git remote add leaky /no/${TOKEN.slice(0, 12)}"${TOKEN.slice(12)}"/such`);
    const { body } = await push({ remote: "leaky" });
    expect(body.exitCode).toBeGreaterThan(0);
    expect(body.stderr).not.toContain(TOKEN);
    expect(body.stderr).toContain("***");
  });

  test("wakes a sleeping space", async () => {
    await ask(daemon, "POST", "/api/spaces/box/stop");
    expect((await push()).body).toMatchObject({ exitCode: 0 });
  });
});
