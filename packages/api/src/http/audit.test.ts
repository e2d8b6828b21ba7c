import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClawdspaceError } from "@clawdspace/protocol";
import fastify, { type FastifyBaseLogger, type FastifyInstance } from "fastify";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildApp } from "../app.js";
import { Recorder } from "../audit/recorder.js";
import { readConfig } from "../config.js";
import { DockerEngine } from "../engine/docker-engine.js";
import { createServices } from "../services.js";
import { ACCESS } from "./access.js";
import { auditRequests } from "./audit.js";
import { AUDITED } from "./audited.js";
import { handleErrors } from "./errors.js";
import { sendNdjson } from "./ndjson.js";

let folder: string;
const log = pino({ level: "silent" });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "clawdspace-http-audit-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("the rules", () => {
  test("every route that can change something has one, and each is for a route that is there", async () => {
    const config = readConfig({ CLAWDSPACE_DATA_DIR: folder, CLAWDSPACE_CONFIG_DIR: folder });
    const services = createServices(config, new DockerEngine(join(folder, "no.sock")), log, "key");
    const app = await buildApp(services, { authDisabled: false, logger: log });
    const printed = app.printRoutes({ commonPrefix: false, includeHooks: false });
    await app.close();
    expect(printed).toContain("exec (POST)");
    const changing = Object.keys(ACCESS).filter((route) => !/^(GET|HEAD) /.test(route));
    expect(changing.filter((route) => !(route in AUDITED))).toEqual([]);
    const unguarded = /\/api\/session$|\/api\/peer\/|preview/;
    expect(
      Object.keys(AUDITED).filter((route) => !(route in ACCESS) && !unguarded.test(route)),
    ).toEqual([]);
  });

  test("a route without one stops the daemon from starting", async () => {
    const app = fastify();
    const recorder = { begin: () => Promise.reject(), append: () => Promise.reject() };
    auditRequests(app, { recorder, envOf: async () => ({}) });
    expect(() => app.post("/api/spaces/:name/explode", async () => "")).toThrow(
      "POST /api/spaces/:name/explode has no entry in http/audited.ts",
    );
    await app.close();
  });
});

describe("requests", () => {
  let app: FastifyInstance;
  let recorder: Recorder;
  let url: string;
  let handler: (body: unknown) => Promise<unknown> = async () => ({});

  beforeEach(async () => {
    recorder = new Recorder({
      path: join(folder, "audit.jsonl"),
      rotateBytes: 1024 ** 2,
      retention: {},
      log,
    });
    await recorder.open();
    const loggerInstance: FastifyBaseLogger = log;
    app = fastify({ loggerInstance, genReqId: () => "r1" });
    handleErrors(app);
    auditRequests(app, { recorder, envOf: async () => ({ DEPLOY_TOKEN: "from-the-space" }) });
    app.decorateRequest("actor");
    app.addHook("onRequest", async (request) => {
      request.actor = { name: "ci", role: "agent" };
    });
    app.post("/api/spaces/:name/exec", async (request, reply) => {
      if (request.headers.accept !== "application/x-ndjson") return await handler(request.body);
      const lines = (async function* () {
        yield { type: "stdout", data: "x", offset: 0 };
        await handler(request.body);
        yield { type: "exit", exitCode: 4 };
      })();
      await sendNdjson(request, reply, lines, new AbortController().signal);
    });
    // A stream's backpressure needs a real connection.
    url = await app.listen({ port: 0, host: "127.0.0.1" });
  });
  afterEach(async () => {
    await app.close();
    await recorder.close();
  });

  const exec = async (body: Record<string, unknown>, accept = "application/json") => {
    const answer = await fetch(`${url}/api/spaces/dev/exec`, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", accept },
    });
    return { status: answer.status, text: await answer.text() };
  };
  const events = async () => await recorder.log.newest({}, 10);

  test("a request is logged with its space, its actor, its fields and its result, before it is answered", async () => {
    handler = async () => {
      expect(await events()).toEqual([]);
      return { stdout: "never logged", exitCode: 7 };
    };
    await exec({
      command: "echo from-the-space given-here",
      stdin: "secret",
      env: { A_TOKEN: "given-here" },
    });
    expect(await events()).toEqual([
      expect.objectContaining({
        space: "dev",
        type: "space.exec",
        actor: "key:ci",
        meta: {
          command: "echo *** ***",
          env: ["A_TOKEN"],
          exitCode: 7,
          outcome: "ok",
          durationMs: expect.any(Number),
          request: "r1",
        },
      }),
    ]);
  });

  test("a failure is logged with its code and answered as it is", async () => {
    handler = async () => {
      throw new ClawdspaceError("not_found", "There is no such space.");
    };
    const answer = await exec({ command: "true" });
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text)).toEqual({
      error: "There is no such space.",
      code: "not_found",
    });
    expect((await events())[0]?.meta).toMatchObject({ outcome: "error", code: "not_found" });
  });

  test("a streamed answer's last line comes when the event is logged", async () => {
    handler = async () => ({});
    const answer = await exec({ command: "true" }, "application/x-ndjson");
    expect(answer.text.trim().split("\n").at(-1)).toBe('{"type":"exit","exitCode":4}');
    expect((await events())[0]?.meta).toMatchObject({ exitCode: 4, outcome: "ok" });
  });

  test("a stream that fails in the middle is logged as failed", async () => {
    handler = async () => {
      throw new ClawdspaceError("space_broken", "It broke.");
    };
    await exec({ command: "true" }, "application/x-ndjson");
    expect((await events())[0]?.meta).toMatchObject({ outcome: "error", code: "space_broken" });
  });

  test("nothing is done while it could not be logged", async () => {
    let ran = false;
    handler = async () => {
      ran = true;
      return {};
    };
    recorder.log.fail(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
    const answer = await exec({ command: "true" });
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toMatchObject({
      code: "audit_unavailable",
      error: expect.stringContaining("disk is full"),
    });
    expect(ran).toBe(false);
  });

  test("what was done but could not be logged is not answered as done", async () => {
    handler = async () => {
      await recorder.log.close();
      return { exitCode: 0 };
    };
    const answer = await exec({ command: "true" });
    expect(JSON.parse(answer.text)).toMatchObject({ code: "audit_unavailable" });
  });
});
