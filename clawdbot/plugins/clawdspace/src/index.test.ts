import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import plugin from "./index.js";

interface Tool {
  name: string;
  parameters: Record<string, unknown>;
  execute(id: string, params: unknown, signal?: AbortSignal): Promise<{ content: unknown[] }>;
}
type Answer = [ok: boolean, payload: unknown, error: { code: string; message: string } | undefined];

/** What the hosts hand a plugin, of which this one uses two doors. */
class Host {
  tool: Tool | undefined;
  readonly methods = new Map<
    string,
    (call: { params: unknown; respond: (...answer: Answer) => void }) => Promise<void>
  >();

  constructor(readonly pluginConfig: unknown) {
    plugin.register(this as never);
  }
  registerTool(tool: Tool) {
    this.tool = tool;
  }
  registerGatewayMethod(name: string, answer: (call: never) => Promise<void>) {
    this.methods.set(name, answer as never);
  }
  registerCli() {}
  async run(params: object) {
    return await this.tool?.execute("1", params);
  }
  async call(name: string, params: object): Promise<Answer> {
    return await new Promise((resolve) => {
      void this.methods.get(name)?.({ params, respond: (...answer) => resolve(answer) });
    });
  }
}

const SPACE = {
  ...{ name: "box", id: "0123456789ab", status: "running", image: "i", memory: 1, cpus: 1 },
  ...{ created: "2026-01-01T00:00:00Z", started: null, lastActivity: "2026-01-01T00:00:00Z" },
};
const asked: string[] = [];
let server: Server;
let baseUrl: string;

beforeAll(async () => {
  server = createServer((request: IncomingMessage, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    const path = new URL(request.url ?? "/", "http://x").pathname;
    const answer = (status: number, body: unknown) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(`${JSON.stringify(body)}\n`);
    };
    if (path === "/api/spaces") answer(200, { spaces: [SPACE, { ...SPACE, name: "secret" }] });
    else if (path.endsWith("/exec")) {
      response.writeHead(200, { "content-type": "application/x-ndjson" });
      response.write('{"type":"stdout","data":"out\\n","offset":0}\n');
      response.end('{"type":"exit","exitCode":3}\n');
    } else answer(404, { error: "There is no such thing.", code: "not_found" });
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());
beforeEach(() => {
  asked.length = 0;
});

const host = (more: object = {}) => new Host({ baseUrl, apiKey: "k", ...more });

describe("the tool", () => {
  it("has one flat schema, as the hosts want it", () => {
    const { parameters } = host().tool ?? { parameters: {} };
    expect(parameters).toMatchObject({ type: "object" });
    expect(JSON.stringify(parameters)).not.toMatch(/anyOf|oneOf|allOf|"format"/);
  });

  it("shows exit code and output, by the key that is configured", async () => {
    const ran = await host().run({ action: "exec", space: "box", command: "x" });
    expect(ran?.content).toEqual([{ type: "text", text: "exit code: 3\nstdout:\nout\n" }]);
    expect(asked).toEqual(["POST /api/spaces/box/exec Bearer k"]);
  });

  it("keeps to the lists for every action, and tells nothing of other spaces", async () => {
    const confined = host({ allowSpaces: ["box"], denySpaces: ["secret"] });
    const listed = await confined.run({ action: "list_spaces" });
    expect(JSON.stringify(listed)).not.toContain("secret");
    asked.length = 0;
    for (const params of [
      { action: "exec", space: "secret", command: "x" },
      { action: "create_space", name: "other" },
      { action: "destroy_space", space: "secret" },
      { action: "move_space", space: "secret", to: "far" },
      { action: "files_get", space: "other", path: "/a" },
      { action: "audit", space: "secret" },
      { action: "templates_put", yaml: "name: x" },
      { action: "templates_delete", name: "x" },
    ]) {
      await expect(confined.run(params), params.action).rejects.toMatchObject({
        name: "ToolInputError",
      });
    }
    expect(asked).toEqual([]);
  });

  it("names another node to the one daemon that has the key, and sends the key nowhere else", async () => {
    await host().run({ action: "exec", space: "box", command: "x", node: "far" });
    expect(asked).toEqual(["POST /api/spaces/box/exec?node=far Bearer k"]);
    await expect(host().run({ action: "system", node: "far" })).rejects.toThrow("nodeMap");
    asked.length = 0;
    await host({ nodeMap: { far: baseUrl } }).run({ action: "list_spaces", node: "far" });
    expect(asked).toEqual(["GET /api/spaces Bearer k"]);
  });

  it("moves a space, and passes on why that can't be", async () => {
    await expect(host().run({ action: "move_space", space: "box" })).rejects.toThrow('needs "to"');
    const moved = host().run({ action: "move_space", space: "box", to: "far" });
    await expect(moved).rejects.toThrow("There is no such thing.");
    expect(asked).toEqual(["POST /api/spaces/box/move Bearer k"]);
  });

  it("says what was wrong, and what to do", async () => {
    const fails = (params: object) => expect(host().run(params)).rejects;
    await fails({ action: "dance" }).toThrow("action");
    await fails({ action: "exec", space: "box" }).toThrow('needs "command"');
    await fails({ action: "exec", command: "x" }).toThrow("list_spaces");
    await fails({ action: "files_list", space: "box" }).toThrow("not_found");
    await expect(host({ enabled: false }).run({ action: "health" })).rejects.toThrow("off");
  });
});

it("answers the gateway's methods, and tells failures by code", async () => {
  const gateway = host({ denySpaces: ["secret"] });
  const [ok, payload] = await gateway.call("clawdspace.spaces.list", {});
  expect(ok).toBe(true);
  expect(payload).toMatchObject({ spaces: [{ name: "box" }] });
  const refused = await gateway.call("clawdspace.spaces.exec", { space: "secret", command: "x" });
  expect(refused).toMatchObject([false, undefined, { code: "INVALID_REQUEST" }]);
});
