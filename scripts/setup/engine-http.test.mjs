import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { engineJson, engineRequest, followMessages, pingEngine } from "./engine-http.mjs";

let server;
let address;
let answer;

beforeEach(async () => {
  server = createServer((request, response) => answer(request, response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  address = `tcp://127.0.0.1:${server.address().port}`;
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const json = (status, body) => (_, response) => {
  response.writeHead(status).end(JSON.stringify(body));
};

describe("pingEngine", () => {
  it("knows Docker and Podman by their versions", async () => {
    answer = json(200, { Version: "27.1.0" });
    expect(await pingEngine(address)).toEqual({ ok: true, version: "Docker 27.1.0" });
    answer = json(200, {
      Version: "5.2.0",
      Components: [{ Name: "Podman Engine", Version: "5.2.0" }],
    });
    expect(await pingEngine(address)).toEqual({ ok: true, version: "Podman 5.2.0" });
  });

  it("takes nothing else for an engine", async () => {
    answer = json(200, { hello: "world" });
    expect(await pingEngine(address)).toMatchObject({ ok: false });
    answer = (_, response) => response.end("<html>");
    expect(await pingEngine(address)).toMatchObject({ ok: false });
  });

  it("says why there is none", async () => {
    expect(await pingEngine("/nowhere/docker.sock")).toMatchObject({ ok: false, code: "ENOENT" });
    answer = () => {};
    expect(await pingEngine(address, 50)).toMatchObject({ ok: false, code: "ETIMEDOUT" });
  });
});

describe("engineJson", () => {
  it("gives undefined for what is not there, and fails with the engine's words else", async () => {
    answer = json(404, { message: "no such image" });
    expect(await engineJson(address, { path: "/images/x/json" })).toBeUndefined();
    answer = json(500, { message: "disk full" });
    await expect(engineJson(address, { path: "/images/json?all=1" })).rejects.toThrow(/disk full/);
  });
});

describe("followMessages", () => {
  const follow = async () => {
    const messages = [];
    await followMessages(await engineRequest(address, { path: "/build" }), (message) =>
      messages.push(message),
    );
    return messages;
  };

  it("reads messages that arrive in pieces", async () => {
    answer = (_, response) => {
      response.write('{"stream":"Step 1"}\n{"str');
      setImmediate(() => response.end('eam":"Step 2"}'));
    };
    expect(await follow()).toEqual([{ stream: "Step 1" }, { stream: "Step 2" }]);
  });

  it("fails with the message that says so, or with the status", async () => {
    answer = (_, response) => response.end('{"stream":"Step 1"}\n{"error":"make failed"}\n');
    await expect(follow()).rejects.toThrow("make failed");
    answer = json(400, { message: "no Dockerfile" });
    await expect(follow()).rejects.toThrow("no Dockerfile");
  });
});
