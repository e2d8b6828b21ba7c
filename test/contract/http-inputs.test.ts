import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ErrorCode } from "../../packages/protocol/src/index.js";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.space("box");
});
afterAll(() => daemon.stop());

/** What was sent, the code it is answered with, and the field that is named as wrong. */
type Case = [what: string, input: unknown, code: ErrorCode, path?: string];

const long = (length: number) => "x".repeat(length);

describe("POST /api/spaces", () => {
  const wrong: Case[] = [
    ["no name", {}, "invalid_request", "name"],
    ["an empty name", { name: "" }, "invalid_request", "name"],
    ["a space in the name", { name: "a b" }, "invalid_request", "name"],
    ["a slash in the name", { name: "a/b" }, "invalid_request", "name"],
    ["a dot in the name", { name: "a.b" }, "invalid_request", "name"],
    ["a path as the name", { name: "../etc" }, "invalid_request", "name"],
    ["a line break in the name", { name: "a\n" }, "invalid_request", "name"],
    ["a letter beyond ASCII", { name: "büro" }, "invalid_request", "name"],
    ["a NUL in the name", { name: "a\0" }, "invalid_request", "name"],
    ["a name of 64 characters", { name: long(64) }, "invalid_request", "name"],
    ["a number as the name", { name: 7 }, "invalid_request", "name"],
    ["null as the name", { name: null }, "invalid_request", "name"],
    ["lots of memory", { memory: "lots" }, "invalid_request", "memory"],
    ["memory as a number", { memory: 2048 }, "invalid_request", "memory"],
    ["no memory", { memory: "" }, "invalid_request", "memory"],
    ["negative memory", { memory: "-1g" }, "invalid_request", "memory"],
    ["too little memory", { memory: "1m" }, "invalid_request", "memory"],
    ["memory with a strange unit", { memory: "2x" }, "invalid_request", "memory"],
    ["memory with something behind", { memory: "2g!" }, "invalid_request", "memory"],
    ["infinite memory", { memory: "Infinity" }, "invalid_request", "memory"],
    ["memory beyond counting", { memory: "99999999999t" }, "invalid_request", "memory"],
    ["more memory than the node has", { memory: "64t" }, "insufficient_resources", "memory"],
    ["CPUs as text", { cpus: "1" }, "invalid_request", "cpus"],
    ["no CPUs", { cpus: 0 }, "invalid_request", "cpus"],
    ["negative CPUs", { cpus: -1 }, "invalid_request", "cpus"],
    ["CPUs that are no number", { cpus: null }, "invalid_request", "cpus"],
    ["more CPUs than the node has", { cpus: 4000 }, "insufficient_resources", "cpus"],
    ["gpu as text", { gpu: "yes" }, "invalid_request", "gpu"],
    ["an image with spaces", { image: "a b" }, "invalid_request", "image"],
    ["an image with empty segments", { image: "a//b" }, "invalid_request", "image"],
    ["an image that climbs", { image: "a/../b" }, "invalid_request", "image"],
    ["an image like an option", { image: "--privileged" }, "invalid_request", "image"],
    ["an empty image", { image: "" }, "invalid_request", "image"],
    ["an image that isn't there", { image: "no-such-image:1", wait: false }, "image_unavailable"],
    ["an unknown template", { template: "no-such" }, "not_found"],
    ["a template with a path", { template: "../default" }, "invalid_request", "template"],
    ["env as an array", { env: ["A=1"] }, "invalid_request", "env"],
    ["an env name that is none", { env: { "A B": "1" } }, "invalid_request"],
    ["an env name with a sign", { env: { "A=B": "1" } }, "invalid_request"],
    ["an env value that is no text", { env: { A: 1 } }, "invalid_request", "env.A"],
    ["an env value with a NUL", { env: { A: "\0" } }, "invalid_request", "env.A"],
    [
      "two env files",
      { envFileText: "A=1", envFileBase64: "QT0x" },
      "invalid_request",
      "envFileBase64",
    ],
    ["an env file that is no base64", { envFileBase64: "?" }, "invalid_request", "envFileBase64"],
    [
      "an env file elsewhere",
      { envFileText: "A=1", envFilePath: "/etc/env" },
      "invalid_request",
      "envFilePath",
    ],
    [
      "an env file that climbs out",
      { envFileText: "A=1", envFilePath: "/workspace/../etc/env" },
      "invalid_request",
    ],
    ["an env file's path alone", { envFilePath: "/workspace/.env" }, "invalid_request"],
    ["a repository by http", { repoUrl: "http://example.com/a" }, "invalid_request", "repoUrl"],
    ["a repository by file", { repoUrl: "file:///etc" }, "invalid_request", "repoUrl"],
    ["a repository by option", { repoUrl: "--upload-pack=x" }, "invalid_request", "repoUrl"],
    ["a repository by ext", { repoUrl: "ext::sh -c x" }, "invalid_request", "repoUrl"],
    ["a branch without a repository", { repoBranch: "main" }, "invalid_request", "repoUrl"],
    [
      "a branch like an option",
      { repoUrl: "https://example.com/a", repoBranch: "--x" },
      "invalid_request",
      "repoBranch",
    ],
    [
      "a repository without network",
      { repoUrl: "https://example.com/a", template: "offline" },
      "invalid_request",
      "repoUrl",
    ],
    [
      "a destination outside",
      { repoUrl: "https://example.com/a", repoDest: "../../etc" },
      "invalid_request",
      "repoDest",
    ],
    ["labels as text", { labels: "a=b" }, "invalid_request", "labels"],
    ["a label that is no text", { labels: { a: 1 } }, "invalid_request", "labels.a"],
    [
      "a description that is too long",
      { description: long(1001) },
      "invalid_request",
      "description",
    ],
    ["an empty idempotency key", { idempotencyKey: "" }, "invalid_request", "idempotencyKey"],
    ["an unknown field", { memmory: "1g" }, "invalid_request", "memmory"],
    ["an unknown field like a known one", { Memory: "1g" }, "invalid_request", "Memory"],
  ];

  test.each(wrong)("%s", async (_what, input, code, path) => {
    const body = { name: "wrong", ...(input as object) };
    if (Object.keys(input as object).length === 0) Reflect.deleteProperty(body, "name");
    const answer = await ask(daemon, "POST", "/api/spaces", body);
    expectError(answer, code, ...(path === undefined ? [] : [path]));
  });

  test("several faults are told at once", async () => {
    const body = { name: "a b", memory: "lots", cpus: "many", bogus: 1 };
    expectError(
      await ask(daemon, "POST", "/api/spaces", body),
      "invalid_request",
      "name",
      "memory",
      "cpus",
      "bogus",
    );
  });

  test("and none of them has left anything", async () => {
    const { body } = await ask(daemon, "GET", "/api/spaces");
    expect(body.spaces.map(({ name }: { name: string }) => name)).toEqual(["box"]);
    const filters = { label: [`clawdspace.namespace=${daemon.namespace}`] };
    expect(await docker.listContainers({ all: true, filters })).toHaveLength(1);
    const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
    const volumes = (Volumes ?? []).map(({ Name }) => Name).filter((name) => /-vol-/.test(name));
    expect(volumes).toEqual([`${daemon.namespace}-vol-box`]);
  });
});

describe("a space's name in the path", () => {
  const names: Case[] = [
    ["unknown", "no-such", "not_found"],
    ["in other letters", "BOX", "not_found"],
    ["the container's own", "clawdspace-box", "not_found"],
    ["longest", long(63), "not_found"],
    ["too long", long(64), "invalid_request", "name"],
    ["with a dot", "a.b", "invalid_request", "name"],
    ["with a space", "a%20b", "invalid_request", "name"],
    ["with a slash", "a%2Fb", "invalid_request", "name"],
    ["that climbs", "..%2F..%2Fetc", "invalid_request", "name"],
    ["with a NUL", "a%00", "invalid_request", "name"],
    ["with a line break", "a%0A", "invalid_request", "name"],
    ["beyond ASCII", "b%C3%BCro", "invalid_request", "name"],
  ];
  const routes: [method: string, rest: string, body?: unknown][] = [
    ["GET", ""],
    ["DELETE", ""],
    ["DELETE", "?removeVolume=true"],
    ["POST", "/start"],
    ["POST", "/stop"],
    ["GET", "/stats"],
    ["GET", "/observability"],
    ["POST", "/exec", { command: "true" }],
    ["POST", "/git/push", { repoPath: "/repo", token: "t" }],
  ];

  describe.each(routes)("%s /api/spaces/:name%s", (method, rest, body) => {
    test.each(names)("%s", async (_what, name, code, path) => {
      const answer = await ask(daemon, method, `/api/spaces/${name}${rest}`, body);
      expectError(answer, code, ...(path === undefined ? [] : [path]));
    });
  });
});

describe("POST /api/spaces/:name/exec", () => {
  const wrong: Case[] = [
    ["no command", {}, "invalid_request", "command"],
    ["an empty command", { command: "" }, "invalid_request", "command"],
    ["no arguments", { command: [] }, "invalid_request", "command"],
    ["a number", { command: 7 }, "invalid_request", "command"],
    ["arguments that are no text", { command: ["echo", 1] }, "invalid_request"],
    ["a NUL in a command", { command: "a\0b" }, "invalid_request", "command"],
    ["a NUL in an argument", { command: ["a", "b\0"] }, "invalid_request"],
    ["cwd as a number", { command: "true", cwd: 1 }, "invalid_request", "cwd"],
    ["a cwd with a NUL", { command: "true", cwd: "a\0" }, "invalid_request", "cwd"],
    ["a cwd that isn't there", { command: "true", cwd: "/no/such" }, "invalid_request", "cwd"],
    ["a cwd that is a file", { command: "true", cwd: "/etc/passwd" }, "invalid_request", "cwd"],
    ["env as text", { command: "true", env: "A=1" }, "invalid_request", "env"],
    ["an env name that is none", { command: "true", env: { "1A": "" } }, "invalid_request"],
    ["stdin as a number", { command: "cat", stdin: 1 }, "invalid_request", "stdin"],
    [
      "stdin that is no base64",
      { command: "cat", stdinBase64: "?" },
      "invalid_request",
      "stdinBase64",
    ],
    [
      "stdin twice",
      { command: "cat", stdin: "a", stdinBase64: "YQ==" },
      "invalid_request",
      "stdinBase64",
    ],
    ["no time", { command: "true", timeoutMs: 0 }, "invalid_request", "timeoutMs"],
    ["time as text", { command: "true", timeoutMs: "1s" }, "invalid_request", "timeoutMs"],
    ["half a millisecond", { command: "true", timeoutMs: 0.5 }, "invalid_request", "timeoutMs"],
    [
      "negative output",
      { command: "true", maxOutputBytes: -1 },
      "invalid_request",
      "maxOutputBytes",
    ],
    [
      "endless output",
      { command: "true", maxOutputBytes: 1e12 },
      "invalid_request",
      "maxOutputBytes",
    ],
    ["another user", { command: "true", user: "www-data" }, "invalid_request", "user"],
    ["the user root", { command: "true", user: "root" }, "forbidden"],
    ["another encoding", { command: "true", encoding: "latin1" }, "invalid_request", "encoding"],
    ["an unknown field", { command: "true", workdir: "/" }, "invalid_request", "workdir"],
    ["no object", [], "invalid_request"],
  ];

  test.each(wrong)("%s", async (_what, input, code, path) => {
    const answer = await ask(daemon, "POST", "/api/spaces/box/exec", input);
    expectError(answer, code, ...(path === undefined ? [] : [path]));
  });

  test("the same as a stream fails the same, before it begins", async () => {
    const headers = { accept: "application/x-ndjson" };
    const exec = (input: unknown) =>
      ask(daemon, "POST", "/api/spaces/box/exec", input, { headers });
    expectError(await exec({ command: "" }), "invalid_request", "command");
    expectError(await exec({ command: "true", user: "root" }), "forbidden");
    expectError(await exec({ command: "true", cwd: "/no/such" }), "invalid_request", "cwd");
  });
});

describe("POST /api/spaces/:name/git/push", () => {
  const right = { repoPath: "/repo", remote: "origin", branch: "main", token: "t0ken" };
  const wrong: Case[] = [
    ["no path", { repoPath: undefined }, "invalid_request", "repoPath"],
    ["an empty path", { repoPath: "" }, "invalid_request", "repoPath"],
    ["a path that leads out", { repoPath: "/../etc" }, "invalid_request", "repoPath"],
    ["a path with a NUL", { repoPath: "/a\0" }, "invalid_request", "repoPath"],
    ["a remote like an option", { remote: "--mirror" }, "invalid_request", "remote"],
    ["a remote that is a URL", { remote: "https://evil.example/" }, "invalid_request", "remote"],
    ["an empty remote", { remote: "" }, "invalid_request", "remote"],
    ["a branch like an option", { branch: "--all" }, "invalid_request", "branch"],
    ["a branch that is a range", { branch: "a..b" }, "invalid_request", "branch"],
    ["a branch that is a mapping", { branch: "a:b" }, "invalid_request", "branch"],
    ["a branch with spaces", { branch: "a b" }, "invalid_request", "branch"],
    ["no token", { token: undefined }, "invalid_request", "token"],
    ["an empty token", { token: "" }, "invalid_request", "token"],
    ["a token with a line break", { token: "a\nb" }, "invalid_request", "token"],
    ["an unknown field", { force: true }, "invalid_request", "force"],
  ];

  test.each(wrong)("%s", async (_what, input, code, path) => {
    const body = { ...right, ...(input as object) };
    const answer = await ask(daemon, "POST", "/api/spaces/box/git/push", body);
    expectError(answer, code, ...(path === undefined ? [] : [path]));
    if (code === "invalid_request") expect(JSON.stringify(answer.body)).not.toContain("t0ken");
  });
});

describe("queries", () => {
  test("unknown fields of a query are ignored", async () => {
    for (const path of ["/api/spaces?a=1", "/api/spaces/box?b=2&c[]=3", "/api/system?x"]) {
      expect((await ask(daemon, "GET", path)).status, path).toBe(200);
    }
  });

  test("known ones are checked", async () => {
    for (const value of ["yes", "2", "", "TRUE"]) {
      const answer = await ask(daemon, "DELETE", `/api/spaces/no-such?removeVolume=${value}`);
      expectError(answer, "invalid_request", "removeVolume");
    }
    const twice = "/api/spaces/no-such?removeVolume=true&removeVolume=false";
    expectError(await ask(daemon, "DELETE", twice), "invalid_request", "removeVolume");
  });
});
