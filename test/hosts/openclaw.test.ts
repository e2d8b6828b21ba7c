import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentHost, OPENCLAW } from "../support/agent-host.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { PLUGIN_CONFIG, pluginTests } from "../support/plugin-tests.js";
import { ScriptedModel, type ToolCall } from "../support/scripted-model.js";

const CLI = resolve(import.meta.dirname, "../../packages/cli/build/package/dist/cli/main.js");

const SKILLS = "/workspace/.openclaw/sandbox-skills/skills";

let daemon: Daemon;
let model: ScriptedModel;
let host: AgentHost;
let workspace: string;

beforeAll(async () => {
  [daemon, model] = await Promise.all([startDaemon(), ScriptedModel.start()]);
  await daemon.space("secret");
  host = await AgentHost.install(OPENCLAW, { ...settings(), ...PLUGIN_CONFIG }, (home) => {
    workspace = join(home, "agent-workspace");
    mkdirSync(workspace);
    writeFileSync(join(workspace, "brought.txt"), "from the host\n");
    const cost = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
    const scripted = {
      ...{ id: "scripted", name: "scripted", reasoning: false, input: ["text"], cost },
      ...{ contextWindow: 128_000, maxTokens: 4096 },
    };
    const provider = { baseUrl: model.url, apiKey: "x", api: "openai-completions" };
    return {
      models: { mode: "replace", providers: { mock: { ...provider, models: [scripted] } } },
      agents: {
        defaults: {
          ...{ workspace, skipBootstrap: true, model: { primary: "mock/scripted" } },
          sandbox: {
            ...{ mode: "all", backend: "clawdspace", scope: "agent", workspaceAccess: "rw" },
          },
        },
      },
      tools: {
        toolSearch: false,
        sandbox: { tools: { alsoAllow: ["clawdspace", "clawdspace__*"] } },
      },
      mcp: {
        servers: {
          clawdspace: {
            ...{ command: process.execPath, args: [CLI, "mcp"] },
            env: { CLAWDSPACE_SERVER: daemon.url, CLAWDSPACE_KEY: daemon.key, HOME: home },
          },
        },
      },
    };
  });
  await host.start();
});
afterAll(async () => {
  await host?.remove();
  model?.stop();
  await daemon?.stop();
});

const settings = () => ({
  ...{ baseUrl: daemon.url, apiKey: daemon.key },
  sandbox: { template: "offline", memory: "256m" },
});
const { act, refused, changeTemplates } = pluginTests(() => ({ daemon, host }));

/** Lets the agent make these calls, and resolves to what its tools answered. */
async function turn(trigger: string, calls: ToolCall[]): Promise<string[]> {
  model.plan(trigger, calls);
  const printed = await host.message(trigger);
  expect(model.results, printed + host.log).toHaveLength(calls.length);
  return model.results;
}

/** The one space that serves as a sandbox, as Clawdspace tells it. */
async function theSpace(): Promise<{ name: string; id: string }> {
  const { body } = await daemon.json("GET", "/api/spaces");
  const sandboxes = body.spaces.filter(({ name }: { name: string }) => name.startsWith("agent-"));
  expect(sandboxes).toHaveLength(1);
  return sandboxes[0];
}

test("an agent's own tools work in a space, and leave the host alone", async () => {
  const patch = [
    ...["*** Begin Patch", "*** Add File: new.txt", "+added"],
    ...["*** Update File: notes/a.txt", "@@", "-2", "+two again", "*** End Patch"],
  ].join("\n");
  const [
    ran,
    wrote,
    read,
    edited,
    patched,
    listed,
    escaped,
    missing,
    skill,
    skills,
    byTool,
    byMcp,
  ] = await turn("FIRST", [
    { name: "exec", args: { command: "cat brought.txt; pwd; env; echo err >&2; exit 3" } },
    { name: "write", args: { path: "notes/a.txt", content: "one\n2\n" } },
    { name: "read", args: { path: join(workspace, "notes/a.txt") } },
    { name: "edit", args: { path: "notes/a.txt", edits: [{ oldText: "one", newText: "1" }] } },
    { name: "apply_patch", args: { input: patch } },
    { name: "ls", args: { path: "." } },
    { name: "read", args: { path: "/etc/passwd" } },
    { name: "read", args: { path: "nowhere.txt" } },
    { name: "read", args: { path: `${SKILLS}/clawdspace/SKILL.md` } },
    { name: "exec", args: { command: `ls ${SKILLS}` } },
    { name: "clawdspace", args: { action: "list_spaces" } },
    { name: "clawdspace__list_spaces", args: {} },
  ]);
  expect(ran).toMatch(/^from the host\n\/workspace\n[\s\S]*err\n[\s\S]*code 3/);
  expect(ran).toContain("HOME=/home/sandbox\n");
  expect(ran).not.toContain(daemon.key);
  expect(ran).not.toContain(host.home);
  expect(wrote).toContain("/workspace/notes/a.txt");
  expect(read).toBe("one\n2\n");
  expect(edited).toContain("/workspace/notes/a.txt");
  expect(patched).toContain("A new.txt");
  expect(listed).toMatch(/brought\.txt[\s\S]*new\.txt[\s\S]*notes\//);
  expect(escaped).toContain("outside");
  expect(missing).toContain("nowhere.txt");
  expect(skill).toContain("# Spaces");
  expect(skills).toContain("clawdspace");
  // The plugin's tool beside its sandbox, and the same by MCP, which keeps to the key alone.
  expect(byTool).toContain("agent-main-");
  expect(byTool).not.toContain("secret");
  expect(byMcp).toContain("secret");

  // As Clawdspace sees it, and as the host does.
  const { name } = await theSpace();
  const seen = await daemon.json("POST", `/api/spaces/${name}/exec`, {
    command: "cat notes/a.txt new.txt; stat -c %U notes/a.txt",
  });
  expect(seen.body.stdout).toBe("1\ntwo again\nadded\nsandbox");
  expect(readdirSync(workspace)).toEqual(["brought.txt"]);
});

test("a subcommand of the host's own", async () => {
  await daemon.space("cli");
  const ran = expect(host.run(["clawdspace", "exec", "cli", "--json", "echo out; exit 3"])).rejects;
  const denied = expect(host.run(["clawdspace", "stop", "secret"])).rejects;
  const [listed] = await Promise.all([
    host.run(["clawdspace", "list", "--json"]),
    ran.toMatchObject({ code: 3, stdout: expect.stringContaining('"stdout":"out\\n"') }),
    denied.toThrow("configuration"),
  ]);
  expect(listed).toContain('"name":"cli"');
  await daemon.json("DELETE", "/api/spaces/cli?removeVolume=true");
});

test("the space sleeps and wakes, and serves on after a restart of the gateway", async () => {
  const before = await theSpace();
  expect((await daemon.json("POST", `/api/spaces/${before.name}/stop`)).status).toBe(200);
  await host.stop();
  await host.configurePlugin(settings());
  await host.start();
  await changeTemplates();
  const [kept] = await turn("SECOND", [{ name: "exec", args: { command: "cat new.txt" } }]);
  expect(kept).toBe("added");
  expect((await theSpace()).id).toBe(before.id);
});

test("a command that runs too long ends in the space too", async () => {
  const [ran] = await turn("LONG", [
    { name: "exec", args: { command: "echo up; sleep 4243", timeoutSeconds: 1 } },
  ]);
  expect(ran).toMatch(/timed out/i);
  const { name } = await theSpace();
  const sleepers = async () =>
    (
      await daemon.json("POST", `/api/spaces/${name}/exec`, {
        command: "pgrep -fxc 'sleep 4243'; true",
      })
    ).body.stdout;
  await expect.poll(sleepers, { timeout: 30_000 }).toBe("0");
});

test("the host's own commands list and remove it, and a daemon that is down is told as that", async () => {
  const { name } = await theSpace();
  const [listed, explained] = await Promise.all([
    host.run(["sandbox", "list", "--json"]),
    host.run(["sandbox", "explain", "--json"]),
  ]);
  expect(listed).toContain(`"containerName": "${name}"`);
  expect(listed).toMatch(/"image": "offline",[^}]*"running": true,[^}]*"imageMatch": true/);
  expect(explained).toContain('"backend": "clawdspace"');
  expect(await host.run(["sandbox", "recreate", "--all", "--force"])).toContain("1 removed");
  expect((await daemon.json("GET", `/api/spaces/${name}`)).status).toBe(404);

  // Made anew, with the files of the one before.
  const [kept] = await turn("THIRD", [{ name: "exec", args: { command: "cat new.txt" } }]);
  expect(kept).toBe("added");
  expect((await theSpace()).name).toBe(name);

  await daemon.kill();
  expect(await refused({ action: "list_spaces" })).toMatch(/Is the daemon running there/);
  model.plan("FOURTH", [{ name: "exec", args: { command: "true" } }]);
  const answer = await host.message("FOURTH");
  expect(answer).toContain("sandbox_provisioning");
  expect(host.log).toMatch(/Is the daemon running there/);
  await daemon.run();
  const [again] = await turn("FIFTH", [{ name: "exec", args: { command: "cat new.txt" } }]);
  expect(again).toBe("added");
  expect(await act({ action: "health" })).toContain('"ok"');
});
