import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Clawdspace } from "@clawdspace/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { type GitServer, startGitServer } from "../support/git-server.js";

const TOKEN = "glpat-0123456789-s3cret-TOKEN";
const CA_FILE = "/workspace/ca.pem";

let daemon: Daemon;
let server: GitServer;
let template: string;

beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.space("first");
  const { NetworkSettings } = await docker.getContainer(`${daemon.namespace}-first`).inspect();
  const [network] = Object.values(NetworkSettings.Networks);
  if (!network) throw new Error("the space has no network");
  // The node's own address in the network of the spaces; a template opens it.
  server = await startGitServer(network.Gateway, "x-access-token", TOKEN);
  server.create("private.git");
  server.create("large.git", {
    ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    "large.bin": server.keepLarge("what is large"),
  });
  const yaml = `name: git\nnetwork:\n  mode: internet\n  allowCidrs: [${network.Gateway}/32]\n`;
  const put = await ask(daemon, "PUT", "/api/templates", { yaml });
  expect(put.status, JSON.stringify(put.body)).toBe(200);
  template = "git";
});
afterAll(async () => {
  await server?.close();
  await daemon?.stop();
});

const create = (name: string, more: object) => ({
  name,
  template,
  memory: "256m",
  env: { GIT_SSL_CAINFO: CA_FILE },
  envFileText: server.ca,
  envFilePath: CA_FILE,
  repoUrl: server.url("private.git"),
  ...more,
});

async function run(space: string, command: string): Promise<string> {
  const { body } = await ask(daemon, "POST", `/api/spaces/${space}/exec`, { command });
  expect(body, command).toMatchObject({ exitCode: 0 });
  return body.stdout as string;
}

const git = (space: string, verb: string, body: object) =>
  ask(daemon, "POST", `/api/spaces/${space}/git/${verb}`, { repoPath: "/repo", ...body });

test("a clone without the token is refused, and leaves no space", async () => {
  const refused = await ask(daemon, "POST", "/api/spaces", create("refused", {}));
  expectError(refused, "unprocessable", "repoUrl");
  expect(refused.body.error).toMatch(/Authentication failed|could not read Username/);
  expect((await ask(daemon, "GET", "/api/spaces/refused")).status).toBe(404);
  expectError(
    await ask(daemon, "POST", "/api/spaces", create("refused", { gitToken: "wrong-token" })),
    "unprocessable",
    "repoUrl",
  );
});

test("with keepOnError the space stays where its clone fails, and the answer says so", async () => {
  const refused = await ask(daemon, "POST", "/api/spaces", create("kept", { keepOnError: true }));
  expectError(refused, "unprocessable", "repoUrl");
  expect(refused.body.error).toContain("was kept");
  expect((await ask(daemon, "GET", "/api/spaces/kept")).status).toBe(200);
  expect(await run("kept", "ls /workspace")).toBe("ca.pem");
  await daemon.restart();
  expect(await run("kept", "ls /workspace")).toBe("ca.pem");
});

test("a create clones a private repository with a token that stays nowhere", async () => {
  const answer = await daemon.request("POST", "/api/spaces", create("dev", { gitToken: TOKEN }), {
    headers: { accept: "application/x-ndjson" },
  });
  const lines = (await answer.text()).trim().split("\n");
  const events = lines.map((line) => JSON.parse(line));
  expect(events.at(-1)).toMatchObject({ type: "space", space: { name: "dev" } });
  expect(events.filter(({ step }) => step === "clone").length).toBeGreaterThan(1);
  expect(await run("dev", "cat repo/README.md")).toBe("hello");
  expect(await run("dev", "git -C repo remote get-url origin")).toBe(server.url("private.git"));
  expect(lines.join()).not.toContain(TOKEN);
});

test("a clone brings what is kept in Git LFS with the same token, or leaves it where that is said", async () => {
  const url = server.url("large.git");
  const clone = async (options: object) => {
    const request = { url, token: TOKEN, ...options };
    const { status, body } = await ask(daemon, "POST", "/api/spaces/dev/git/clone", request);
    expect(status, JSON.stringify(body)).toBe(201);
  };
  await clone({ dest: "large" });
  expect(await run("dev", "cat large/large.bin")).toBe("what is large");
  await clone({ dest: "pointers", lfs: false });
  expect(await run("dev", "head -1 pointers/large.bin")).toContain("git-lfs");
});

test("commits and pushes; what the remote has meanwhile is a conflict that a pull solves", async () => {
  await run("dev", "echo more >> repo/README.md; echo new > repo/new.txt");
  const status = await ask(daemon, "GET", "/api/spaces/dev/git/status?repoPath=/repo");
  expect(status.body).toMatchObject({ branch: "main", upstream: "origin/main", clean: false });
  const author = { name: "A Person", email: "a@example.com" };
  const committed = await git("dev", "commit", { message: "More\n\nand more", author });
  expect(committed.body).toMatchObject({ branch: "main", head: expect.stringMatching(/^\w{40}$/) });
  expectError(await git("dev", "commit", { message: "nothing", author }), "wrong_state");

  expectError(await git("dev", "push", { token: "wrong-token" }), "git_auth_failed");
  expect((await git("dev", "push", { token: TOKEN })).body).toMatchObject({ exitCode: 0 });
  expect(server.git("private.git", "log", "-1", "--format=%an %s", "main")).toBe("A Person More\n");

  const tree = server.git("private.git", "rev-parse", "main^{tree}").trim();
  const parent = server.git("private.git", "rev-parse", "main").trim();
  const theirs = server.git("private.git", "commit-tree", tree, "-p", parent, "-m", "theirs");
  server.git("private.git", "update-ref", "refs/heads/main", theirs.trim());
  await run("dev", "echo mine > repo/mine.txt");
  await git("dev", "commit", { message: "mine", paths: ["mine.txt"], author });
  const rejected = await git("dev", "push", { token: TOKEN });
  expectError(rejected, "git_conflict");
  expect(rejected.body.error).toContain("rejected");

  expectError(await git("dev", "pull", { token: TOKEN }), "git_conflict");
  expectError(await git("dev", "pull", {}), "git_auth_failed");
  await run("dev", "git -C repo config user.name A; git -C repo config user.email a@example.com");
  const pulled = await git("dev", "pull", { token: TOKEN, rebase: true });
  expect(pulled.body).toMatchObject({ updated: true, repository: { branch: "main" } });
  expect((await git("dev", "pull", { token: TOKEN })).body).toMatchObject({ updated: false });
  expect((await git("dev", "push", { token: TOKEN })).body).toMatchObject({ exitCode: 0 });
  expect(server.git("private.git", "log", "--format=%s", "main").split("\n").slice(0, 2)).toEqual([
    "mine",
    "theirs",
  ]);
});

test("clones into a space that is there: shallow, another branch, into a folder of one's own", async () => {
  server.git("private.git", "branch", "side", "main");
  const clone = { url: server.url("private.git"), token: TOKEN, depth: 1, branch: "side" };
  const cloned = await ask(daemon, "POST", "/api/spaces/dev/git/clone", { ...clone, dest: "a/b" });
  expect(cloned).toMatchObject({
    status: 201,
    body: { repository: { repoPath: "/a/b", branch: "side" } },
  });
  expect(await run("dev", "git -C a/b rev-list --count HEAD")).toBe("1");
  for (const [body, code, field] of [
    [{ ...clone, dest: "a/b" }, "git_conflict", "url"],
    [{ ...clone, dest: "c", branch: "no-such" }, "not_found", "url"],
    [{ ...clone, dest: "../../etc/x" }, "invalid_request", "dest"],
    [{ ...clone, dest: "/etc/x" }, "invalid_request", "dest"],
    [{ ...clone, dest: "c", url: "ext::sh -c id" }, "invalid_request", "url"],
    [{ ...clone, dest: "c", url: "https://-x/../--upload-pack=id" }, "unprocessable", "url"],
    [{ ...clone, dest: "c", branch: "--upload-pack=id" }, "invalid_request", "branch"],
    [{ ...clone, dest: "c", depth: 0 }, "invalid_request", "depth"],
  ] as const) {
    expectError(await ask(daemon, "POST", "/api/spaces/dev/git/clone", body), code, field);
  }
});

test("checks out, and says what is in the way or missing", async () => {
  const made = await git("dev", "checkout", { ref: "topic/x", create: true });
  expect(made.body).toMatchObject({ branch: "topic/x" });
  expectError(await git("dev", "checkout", { ref: "topic/x", create: true }), "git_conflict");
  expectError(await git("dev", "checkout", { ref: "no-such" }), "not_found");
  expectError(await git("dev", "checkout", { ref: "--force" }), "invalid_request", "ref");
  expectError(await git("dev", "checkout", { repoPath: "/nowhere", ref: "main" }), "not_found");
  expectError(await git("dev", "checkout", { repoPath: "/..", ref: "main" }), "invalid_request");
  await run(
    "dev",
    "cd repo && echo mine > README.md && git commit -qam mine && echo dirty > README.md",
  );
  expectError(await git("dev", "checkout", { ref: "main" }), "git_conflict");
  await run("dev", "git -C repo checkout -q README.md");
  expect((await git("dev", "checkout", { ref: "main" })).body).toMatchObject({ branch: "main" });
  const commit = await run("dev", "git -C repo rev-parse main~1");
  const detached = await git("dev", "checkout", { ref: commit });
  expect(detached.body).toEqual({ repoPath: "/repo", head: commit });
});

test("the typed client does all of it", async () => {
  const { git } = new Clawdspace({ baseUrl: daemon.url, key: daemon.key }).space("dev");
  const said: string[] = [];
  const cloned = await git.clone(
    { url: server.url("private.git"), dest: "typed", token: TOKEN },
    { onProgress: (line) => said.push(line) },
  );
  expect(cloned).toMatchObject({ repoPath: "/typed", branch: "main" });
  expect(said.join("\n")).toContain("Cloning into");
  expect(await git.status("/typed")).toMatchObject({ clean: true, upstream: "origin/main" });
  expect(await git.checkout({ repoPath: "/typed", ref: "typed", create: true })).toMatchObject({
    branch: "typed",
  });
  await run("dev", "echo typed > typed/typed.txt");
  const author = { name: "A", email: "a@example.com" };
  await git.commit({ repoPath: "/typed", message: "typed", author });
  const push = { repoPath: "/typed", branch: "typed", token: TOKEN };
  expect(await git.push(push)).toMatchObject({ exitCode: 0 });
  expect(await git.pull(push)).toMatchObject({ updated: false });
  await expect(git.pull({ repoPath: "/typed", branch: "typed" })).rejects.toMatchObject({
    code: "git_auth_failed",
  });
});

test("a submodule at another server never sees the token", async () => {
  const other = await startGitServer(
    new URL(server.url("x")).hostname,
    "x-access-token",
    "another-token",
  );
  try {
    other.create("sub.git");
    const blob = `[submodule "s"]\n\tpath = s\n\turl = ${other.url("sub.git")}\n`;
    await run(
      "dev",
      [
        "cd repo && git checkout -q -B main origin/main",
        `printf '%s' '${blob}' > .gitmodules && git add .gitmodules`,
        "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),s",
        "git commit -qm sub",
      ].join(" && "),
    );
    expect((await git("dev", "push", { token: TOKEN })).body).toMatchObject({ exitCode: 0 });
    const clone = { url: server.url("private.git"), token: TOKEN, submodules: true, dest: "subs" };
    // Its CA is unknown here, so the connection must be made without looking at it.
    await run("dev", "git config --global http.sslVerify false");
    const refused = await ask(daemon, "POST", "/api/spaces/dev/git/clone", clone);
    expect(refused.status).toBe(401);
    expect(other.seen.join()).not.toContain(Buffer.from(TOKEN).toString("base64").slice(0, 20));
    const sent = other.seen.map((each) => Buffer.from(each.slice(6), "base64").toString());
    expect(sent.join()).not.toContain(TOKEN);
  } finally {
    await other.close();
  }
});

test("the token is on no disk, in no container's config, log, audit log or answer", async () => {
  const inside = await run(
    "dev",
    `grep -rlF -e ${TOKEN.slice(0, 9)}"${TOKEN.slice(9)}" /workspace /home /tmp /run /var 2>/dev/null; true`,
  );
  expect(inside).toBe("");
  const container = await docker.getContainer(`${daemon.namespace}-dev`).inspect();
  expect(JSON.stringify(container)).not.toContain(TOKEN);
  expect(daemon.log).not.toContain(TOKEN);
  const kept = readdirSync(daemon.folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  expect(kept.length).toBeGreaterThan(0);
  for (const file of kept) expect(readFileSync(file, "latin1"), file).not.toContain(TOKEN);
  const { body } = await ask(daemon, "GET", "/api/audit?space=dev&limit=1000");
  const types = body.events.map(({ type }: { type: string }) => type);
  for (const verb of ["clone", "pull", "push", "commit", "checkout"]) {
    expect(types).toContain(`space.git.${verb}`);
  }
});
