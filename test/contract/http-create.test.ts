import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { makeForeignImage, removeImage } from "../support/images.js";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon();
  // The first create on a node publishes the guest agent, which stays; what later ones leave can be told apart.
  await daemon.space("first");
});
afterAll(() => daemon.stop());

const create = (name: string, options: object = {}, init: RequestInit = {}) =>
  ask(daemon, "POST", "/api/spaces", { name, memory: "256m", ...options }, init);
const exec = async (space: string, command: string, options: object = {}) => {
  const answer = await ask(daemon, "POST", `/api/spaces/${space}/exec`, { command, ...options });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
};

/** Everything of the daemon's in the engine and in its data folder, but for what belongs to a space of this name. */
async function everything(): Promise<string[]> {
  const filters = { label: [`clawdspace.namespace=${daemon.namespace}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
  const files = await readdir(join(daemon.folder, "data", "env")).catch(() => []);
  return [
    ...containers.map(({ Names }) => Names[0] ?? ""),
    ...(Volumes ?? []).map(({ Name }) => Name),
    ...files,
  ].sort();
}

describe("env", () => {
  test("reaches every command, outlives a restart, and is in no configuration", async () => {
    const env = { TOKEN: "very-s3cret", ODD: "a b\n'\"$x ☃", EMPTY: "" };
    expect((await create("env", { env })).status).toBe(201);
    const command = 'printf "%s|%s|%s" "$TOKEN" "$ODD" "$EMPTY"';
    expect(await exec("env", command)).toMatchObject({ stdout: `${env.TOKEN}|${env.ODD}|` });
    await daemon.restart();
    expect(await exec("env", command)).toMatchObject({ stdout: `${env.TOKEN}|${env.ODD}|` });
    const container = await docker.getContainer(`${daemon.namespace}-env`).inspect();
    expect(JSON.stringify(container)).not.toContain("very-s3cret");
    expect(JSON.stringify((await ask(daemon, "GET", "/api/spaces/env")).body)).not.toContain(
      "very-s3cret",
    );
    expect(daemon.log).not.toContain("very-s3cret");
    const before = await everything();
    await ask(daemon, "DELETE", "/api/spaces/env?removeVolume=1");
    await expect.poll(async () => (await everything()).length).toBe(before.length - 3);
  });

  test.each([
    ["envFileText", { envFileText: "A=1\nB='two'\n" }, "/workspace/.env", "A=1\nB='two'\n"],
    [
      "envFileBase64",
      { envFileBase64: Buffer.from("C=☃").toString("base64") },
      "/workspace/.env",
      "C=☃",
    ],
    [
      "envFilePath",
      { envFileText: "D=4", envFilePath: "/workspace/a/b c/prod.env" },
      "/workspace/a/b c/prod.env",
      "D=4",
    ],
    ["an empty one", { envFileText: "" }, "/workspace/.env", ""],
  ])("%s is a file of the space's user", async (_what, options, path, content) => {
    const name = `file-${randomBytes(3).toString("hex")}`;
    expect((await create(name, options)).status).toBe(201);
    const { stdout } = await exec(name, `stat -c '%u %s' "${path}"; cat "${path}" | base64 -w0`);
    expect(stdout.trimEnd()).toBe(
      `1001 ${Buffer.byteLength(content)}\n${Buffer.from(content).toString("base64")}`.trimEnd(),
    );
  });
});

describe("progress as NDJSON", () => {
  const NDJSON = { headers: { accept: "application/x-ndjson" } };
  const follow = async (body: object) => {
    const answer = await daemon.request("POST", "/api/spaces", body, NDJSON);
    const text = await answer.text();
    return {
      answer,
      events: text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    };
  };

  test("ends with the space", async () => {
    const { answer, events } = await follow({ name: "told", memory: "256m", envFileText: "A=1" });
    expect(answer.headers.get("content-type")).toMatch(/^application\/x-ndjson/);
    expect(events.at(-1)).toMatchObject({ type: "space", space: { name: "told" } });
    for (const event of events.slice(0, -1)) {
      expect(event).toMatchObject({ type: "progress", message: expect.any(String) });
    }
  });

  test("a failure before anything was told is an HTTP error, later the last line", async () => {
    const { answer, events } = await follow({ name: "told" });
    expect([answer.status, events]).toEqual([409, [expect.objectContaining({ code: "exists" })]]);
    const pull = await follow({ name: "told-2", image: "localhost:1/no/such:1" });
    expect(pull.answer.status).toBe(200);
    expect(pull.events.at(0)).toMatchObject({ type: "progress", step: "image" });
    expect(pull.events.at(-1)).toMatchObject({ type: "error", code: "image_unavailable" });
  });
});

describe("a create that fails or is cut off leaves nothing", () => {
  test("an image that can't be pulled, a repository that can't be cloned, a file that can't be written", async () => {
    const before = await everything();
    expectError(await create("f1", { image: "localhost:1/no/such:1" }), "image_unavailable");
    expectError(
      await create("f2", { repoUrl: "https://127.0.0.1:1/no/such.git" }),
      "unprocessable",
      "repoUrl",
    );
    const path = `/workspace/${"x".repeat(300)}`;
    expect((await create("f3", { envFileText: "A=1", envFilePath: path })).status).toBe(400);
    expect(await everything()).toEqual(before);
    for (const name of ["f1", "f2", "f3"]) expect((await create(name)).status).toBe(201);
  });

  test("the client goes away, at any moment", async () => {
    const before = await everything();
    const moments = [0, 5, 20, 60, 120, 200, 300, 450, 700];
    await Promise.all(
      moments.map(async (moment, index) => {
        const abort = new AbortController();
        const request = daemon
          .request(
            "POST",
            "/api/spaces",
            { name: `cut-${index}`, memory: "256m", env: { A: "1" }, envFileText: "A=1" },
            { signal: abort.signal },
          )
          .catch(() => undefined);
        await delay(moment);
        abort.abort();
        await request;
      }),
    );
    // A create that was done before the client left is a space; every other one is gone without a trace.
    const made = async () =>
      (await ask(daemon, "GET", "/api/spaces")).body.spaces
        .map(({ name }: { name: string }) => name)
        .filter((name: string) => name.startsWith("cut-"));
    await expect
      .poll(
        async () => {
          for (const name of await made())
            await ask(daemon, "DELETE", `/api/spaces/${name}?removeVolume=1`);
          return await everything();
        },
        { timeout: 30_000, interval: 500 },
      )
      .toEqual(before);
  });

  test("the client goes away while an image is pulled or a repository cloned", async () => {
    const before = await everything();
    // An address that answers nothing: the clone hangs until it is given up.
    const abort = new AbortController();
    const request = daemon
      .request(
        "POST",
        "/api/spaces",
        { name: "hanging", memory: "256m", repoUrl: "https://10.255.255.1/a.git" },
        { signal: abort.signal },
      )
      .catch(() => "cut off");
    await expect
      .poll(async () => (await everything()).length, { timeout: 20_000 })
      .toBeGreaterThan(before.length);
    await delay(300);
    abort.abort();
    expect(await request).toBe("cut off");
    await expect.poll(everything, { timeout: 30_000 }).toEqual(before);
  });

  test("the daemon is killed, at any moment, and the next one sweeps", async () => {
    const before = await everything();
    for (const moment of [30, 150, 350]) {
      const creates = [0, 1, 2].map((index) =>
        daemon
          .request("POST", "/api/spaces", {
            name: `killed-${index}`,
            memory: "256m",
            env: { A: "1" },
          })
          .catch(() => undefined),
      );
      await delay(moment);
      await daemon.kill("SIGKILL");
      await Promise.all(creates);
      await daemon.run();
      const { body } = await ask(daemon, "GET", "/api/spaces");
      for (const { name } of body.spaces) {
        if (name.startsWith("killed-"))
          await ask(daemon, "DELETE", `/api/spaces/${name}?removeVolume=1`);
      }
      await expect.poll(everything, { timeout: 30_000 }).toEqual(before);
    }
  });

  test("a name is free at once after its create failed", async () => {
    for (let round = 0; round < 3; round++) {
      expectError(await create("free", { repoUrl: "https://127.0.0.1:1/no.git" }), "unprocessable");
      expect((await create("free")).status).toBe(201);
      await ask(daemon, "DELETE", "/api/spaces/free?removeVolume=1");
    }
  });
});

describe("any image", () => {
  const id = randomBytes(4).toString("hex");
  const images = {
    workspace: `cs-test-${id}:workspace`,
    bare: `cs-test-${id}:bare`,
    anonymous: `cs-test-${id}:anonymous`,
  };
  beforeAll(async () => {
    await makeForeignImage(images.workspace, { workspace: true, passwd: true });
    await makeForeignImage(images.bare, { workspace: false, passwd: true });
    await makeForeignImage(images.anonymous, { workspace: false, passwd: false });
  });
  afterAll(async () => {
    await daemon.kill("SIGTERM");
    const filters = { label: [`clawdspace.namespace=${daemon.namespace}`] };
    for (const { Id, Image } of await docker.listContainers({ all: true, filters })) {
      if (Object.values(images).includes(Image))
        await docker.getContainer(Id).remove({ force: true });
    }
    await Promise.all(Object.values(images).map(removeImage));
    await daemon.run();
  });

  test.each(Object.keys(images) as (keyof typeof images)[])(
    "%s: no user, no bash, a /workspace that is root's or none",
    async (kind) => {
      const name = `img-${kind}`;
      const made = await create(name, { image: images[kind], envFileText: "A=1" });
      expect(made.body).toMatchObject({ space: { image: images[kind], status: "running" } });
      expect(await exec(name, "id -u; id -g; pwd; echo x > mine; stat -c %u . mine .env")).toEqual({
        stdout: "1001\n1001\n/workspace\n1001\n1001\n1001",
        stderr: "",
        exitCode: 0,
      });
      if (kind !== "anonymous") {
        expect(await exec(name, "id -un; id -gn")).toMatchObject({ stdout: "sandbox\nsandbox" });
      }
      expect(await exec(name, "echo $0; command -v bash; true")).toMatchObject({
        stdout: "/bin/sh",
      });
      await ask(daemon, "POST", `/api/spaces/${name}/stop`);
      expect(await exec(name, "cat mine")).toMatchObject({ stdout: "x" });
    },
  );

  test("a name without a tag is its latest", async () => {
    const { body } = await create("untagged", { image: "clawdspace" });
    expect(body.space).toMatchObject({ image: "clawdspace", status: "running" });
  });

  test("the env file of a sandbox is readable by its user alone", async () => {
    await create("private", { envFileText: "A=1" });
    expect(await exec("private", "stat -c %a .env")).toMatchObject({ stdout: "600" });
  });
});
