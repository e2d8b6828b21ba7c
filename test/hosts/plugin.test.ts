import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentHost, CLAWDBOT, OPENCLAW } from "../support/agent-host.js";
import { type Daemon, startDaemon } from "../support/daemon.js";

const TEMPLATE = "name: hosted\ndescription: of a test\nnetwork:\n  mode: none\n";

describe.each([OPENCLAW, CLAWDBOT])("$name $version", (wanted) => {
  let daemon: Daemon;
  let host: AgentHost;

  beforeAll(async () => {
    daemon = await startDaemon();
    await daemon.space("secret");
    host = await AgentHost.install(wanted, {
      baseUrl: daemon.url,
      apiKey: daemon.key,
      denySpaces: ["secret"],
      maxExecOutputChars: 2000,
    });
    await host.start();
  });
  afterAll(async () => {
    await host?.remove();
    await daemon?.stop();
  });

  /** An action that is expected to succeed: what a model reads of it. */
  const act = async (args: object): Promise<string> => {
    const { status, body } = await host.invoke(args);
    expect([status, body.ok], JSON.stringify(body)).toEqual([200, true]);
    return body.result.content.map(({ text }: { text?: string }) => text ?? "").join();
  };
  const refused = async (args: object): Promise<string> => {
    const { body } = await host.invoke(args);
    expect(body.ok, JSON.stringify(body)).toBe(false);
    return body.error.message;
  };

  test("takes the plugin without a complaint", async () => {
    expect(await host.run(["plugins", "list"])).toMatch(/clawdspace/i);
    expect(await host.run(["plugins", "doctor"])).not.toMatch(/clawdspace.*(error|failed)/i);
    expect(host.log).not.toMatch(/clawdspace.*(error|failed)/i);
  });

  test("every action of the tool, on a real space", async () => {
    const space = "box";
    expect(await act({ action: "health" })).toContain('"ok"');
    for (const action of ["system", "capabilities", "nodes", "templates_list"]) {
      expect(JSON.parse(await act({ action })), action).toEqual(expect.any(Object));
    }
    await act({ action: "create_space", name: space, template: "offline" });
    expect(await act({ action: "list_spaces" })).toContain(`"${space}"`);
    expect(await act({ action: "exec", space, command: "echo out; echo err >&2; exit 3" })).toBe(
      "exit code: 3\nstdout:\nout\n\nstderr:\nerr\n",
    );
    expect(await act({ action: "exec", space, command: "seq 5000" })).toContain("characters cut");
    await act({ action: "files_put", space, path: "/a.txt", content: "hello" });
    expect(await act({ action: "files_get", space, path: "/a.txt" })).toBe("hello");
    await act({ action: "files_move", space, path: "/a.txt", to: "/b/c.txt" });
    expect(await act({ action: "files_list", space, path: "/b" })).toContain("c.txt");
    expect(await act({ action: "files_search", space, pattern: "hel+o" })).toContain("/b/c.txt");
    await act({ action: "exec", space, command: "head -c 9 /dev/zero > zeros" });
    expect(await refused({ action: "files_get", space, path: "/zeros" })).toContain("binary");
    await act({ action: "files_delete", space, path: "/b", recursive: true });

    const started = await act({
      ...{ action: "process_start", space },
      command: "echo up; exec python3 -u -m http.server 8000",
    });
    const { id } = JSON.parse(started).process;
    expect(await act({ action: "port_wait", space, port: 8000 })).toContain("8000");
    expect(await act({ action: "ports_list", space })).toContain("8000");
    expect(await act({ action: "process_list", space })).toContain(id);
    expect(await act({ action: "process_output", space, processId: id })).toContain("up");
    expect(
      await refused({ action: "git_push", space, repoPath: "/../x", token: "t", branch: "main" }),
    ).toContain("/workspace");

    expect(await act({ action: "space_stats", space })).toContain("memoryUsageBytes");
    expect(await act({ action: "space_observability", space })).toContain("observability");
    await act({ action: "stop_space", space });
    await act({ action: "start_space", space });
    expect(await act({ action: "audit", space })).toContain("space.exec");
    expect(await act({ action: "templates_get", name: "offline" })).toContain("mode: none");
    await act({ action: "destroy_space", space, removeVolume: true });
    expect(await act({ action: "list_spaces" })).not.toContain(`"${space}"`);
  });

  test("spaces that are denied stay so for every action, and templates with them", async () => {
    for (const args of [
      { action: "exec", space: "secret", command: "true" },
      { action: "files_get", space: "secret", path: "/a" },
      { action: "create_space", name: "secret" },
      { action: "destroy_space", space: "secret" },
      { action: "templates_put", yaml: TEMPLATE },
    ]) {
      expect(await refused(args), args.action).toContain("configuration");
    }
    expect(await act({ action: "list_spaces" })).not.toContain("secret");
    expect((await daemon.json("GET", "/api/spaces/secret")).status).toBe(200);
  });

  test("the gateway's own methods", async () => {
    expect(await host.call("clawdspace.health", {})).toMatchObject({ status: "ok" });
    await host.call("clawdspace.spaces.create", { name: "rpc", template: "offline" });
    expect(
      await host.call("clawdspace.spaces.exec", { space: "rpc", command: "echo rpc" }),
    ).toMatchObject({ stdout: "rpc\n", exitCode: 0 });
    await host.call("clawdspace.spaces.destroy", { space: "rpc", removeVolume: true });
  });

  test("a daemon that is down is told as that, and the gateway lives on; so over its own restart", async () => {
    await daemon.kill();
    expect(await refused({ action: "list_spaces" })).toMatch(/Is the daemon running there/);
    await daemon.run();
    expect(await act({ action: "health" })).toContain('"ok"');
    await host.stop();
    await host.start();
    expect(await act({ action: "list_spaces" })).toContain("spaces");
  });
});
