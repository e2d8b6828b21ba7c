import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentHost, CLAWDBOT } from "../support/agent-host.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { PLUGIN_CONFIG, pluginTests } from "../support/plugin-tests.js";

let daemon: Daemon;
let host: AgentHost;

beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.space("secret");
  host = await AgentHost.install(CLAWDBOT, { ...reach(), ...PLUGIN_CONFIG });
  await host.start();
});
afterAll(async () => {
  await host?.remove();
  await daemon?.stop();
});

const reach = () => ({ baseUrl: daemon.url, apiKey: daemon.key });
const { act, refused, changeTemplates } = pluginTests(() => ({ daemon, host }));

test("a daemon that is down is told as that, and the gateway lives on; so over its own restart", async () => {
  await daemon.kill();
  expect(await refused({ action: "list_spaces" })).toMatch(/Is the daemon running there/);
  await daemon.run();
  expect(await act({ action: "health" })).toContain('"ok"');
  await host.stop();
  await host.configurePlugin(reach());
  await host.start();
  expect(await act({ action: "list_spaces" })).toContain("secret");
  await changeTemplates();
});
