import { expect, test } from "vitest";
import type { AgentHost } from "./agent-host.js";
import type { Daemon } from "./daemon.js";

const TEMPLATE = "name: hosted\ndescription: of a test\nnetwork:\n  mode: none\n";
const GIT_REPOSITORY =
  "git init -q repo && cd repo && git config user.name a && git config user.email a@b.c && echo 1 > f";

/** What of the plugin's configuration the tests count on; the space "secret" has to be there. */
export const PLUGIN_CONFIG = { denySpaces: ["secret"], maxExecOutputChars: 2000 };

/** What the plugin does alike on both hosts, through their gateways' own doors. */
export function pluginTests(there: () => { daemon: Daemon; host: AgentHost }) {
  /** An action that is expected to succeed: what a model reads of it. */
  const act = async (args: object): Promise<string> => {
    const { status, body } = await there().host.invoke(args);
    expect([status, body.ok], JSON.stringify(body)).toEqual([200, true]);
    return body.result.content.map(({ text }: { text?: string }) => text ?? "").join();
  };
  const refused = async (args: object): Promise<string> => {
    const { body } = await there().host.invoke(args);
    expect(body.ok, JSON.stringify(body)).toBe(false);
    return body.error.message;
  };

  test("takes the plugin without a complaint", async () => {
    const { host } = there();
    const [listed, doctor, skills] = await Promise.all([
      host.run(["plugins", "list"]),
      host.run(["plugins", "doctor"]),
      host.run(["skills", "list"]),
    ]);
    expect(listed).toMatch(/clawdspace/i);
    expect(withoutPaths(doctor)).not.toMatch(/clawdspace.*(error|failed)/i);
    expect(skills).toMatch(/clawdspace/i);
    expect(withoutPaths(host.log)).not.toMatch(/clawdspace.*(error|failed)/i);
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
    const edit = { oldText: "ello", newText: "elllo" };
    await act({ action: "files_edit", space, path: "/a.txt", ...edit });
    await act({ action: "files_mkdir", space, path: "/b" });
    await act({ action: "files_copy", space, path: "/a.txt", to: "/d.txt" });
    await act({ action: "files_move", space, path: "/a.txt", to: "/b/c.txt" });
    expect(await act({ action: "files_find", space, pattern: "*.txt" })).toContain("/b/c.txt");
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
    expect(await act({ action: "port_link", space, port: 8000 })).toContain("http");
    await act({ action: "process_stop", space, processId: id });
    const reading = await act({ action: "process_start", space, command: "cat" });
    const { id: reader } = JSON.parse(reading).process;
    await act({ action: "process_write", space, processId: reader, content: "it\n", close: true });
    await expect
      .poll(() => act({ action: "process_output", space, processId: reader }), { timeout: 30_000 })
      .toContain("exited with code 0");

    await act({ action: "exec", space, command: GIT_REPOSITORY });
    const repoPath = "/repo";
    expect(await act({ action: "git_status", space, repoPath })).toContain('"clean": false');
    await act({ action: "git_commit", space, repoPath, message: "one" });
    await act({ action: "git_checkout", space, repoPath, branch: "side", create: true });
    expect(await act({ action: "git_status", space, repoPath })).toContain('"branch": "side"');
    expect(await refused({ action: "git_pull", space, repoPath })).toMatch(/remote|origin/);
    expect(await refused({ action: "git_clone", space, repoUrl: "ftp://x" })).toContain("https://");
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
    expect((await there().daemon.json("GET", "/api/spaces/secret")).status).toBe(200);
  });

  test("the gateway's own methods", async () => {
    const { daemon, host } = there();
    await daemon.space("rpc");
    const command = { space: "rpc", command: "echo rpc" };
    const [health, ran] = await Promise.all([
      host.call("clawdspace.health", {}),
      host.call("clawdspace.spaces.exec", command),
    ]);
    expect(health).toMatchObject({ status: "ok" });
    expect(ran).toMatchObject({ stdout: "rpc\n", exitCode: 0 });
    await daemon.json("DELETE", "/api/spaces/rpc?removeVolume=true");
  });

  /** What is allowed only where the plugin's configuration has no lists. */
  const changeTemplates = async () => {
    await act({ action: "templates_put", yaml: TEMPLATE });
    expect(await act({ action: "templates_get", name: "hosted" })).toContain("of a test");
    await act({ action: "templates_delete", name: "hosted" });
    expect(await refused({ action: "templates_get", name: "hosted" })).toContain("not_found");
  };

  return { act, refused, changeTemplates };
}

/** The host's own troubles are told with paths that hold our name. */
const withoutPaths = (text: string) => text.replaceAll(/\/\S+/g, "");
