import { expect, test } from "vitest";
import { mcpConformance } from "../support/agent-host.js";
import { startDaemon } from "../support/daemon.js";

test("passes every scenario of MCP's conformance suite that needs no tools of its making", async () => {
  const daemon = await startDaemon({ CLAWDSPACE_AUTH_DISABLED: "true" });
  try {
    expect(await mcpConformance(`${daemon.url}/mcp`)).toEqual(
      expect.arrayContaining([
        ...["server-initialize", "ping", "tools-list", "tools-call-error", "resources-list"],
        ...["server-sse-multiple-streams", "dns-rebinding-protection"],
      ]),
    );
  } finally {
    await daemon.stop();
  }
});
