import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { startSpaceServer } from "../support/space-server.js";

describe("ports of a space", () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await startDaemon();
    await daemon.space("net");
    await daemon.space("alone", { template: "offline" });
  });
  afterAll(() => daemon.stop());

  const ports = (space: string) => daemon.json("GET", `/api/spaces/${space}/ports`);
  const exec = (space: string, command: string) =>
    daemon.json("POST", `/api/spaces/${space}/exec`, { command });

  it.each(["net", "alone"])("are listed and waited for in the space %s", async (space) => {
    expect(await ports(space)).toEqual({ status: 200, body: { ports: [] } });
    const waiting = daemon.json("POST", `/api/spaces/${space}/ports/8000/wait`);
    await exec(space, "sleep 0.5; python3 -m http.server 8000 --bind 127.0.0.1 >/dev/null 2>&1 &");
    const ready = await waiting;
    expect(ready.status).toBe(200);
    expect(ready.body.port).toBe(8000);
    expect(ready.body.waitedMs).toBeGreaterThan(300);
    await startSpaceServer(daemon, space, 9000);
    const { body } = await ports(space);
    expect(body.ports).toMatchObject([
      {
        port: 8000,
        address: "127.0.0.1",
        command: expect.stringMatching(/python3.* -m http.server/),
      },
      { port: 9000, address: "127.0.0.1", command: expect.stringContaining("node /tmp/script-") },
    ]);
    for (const { pid, processId } of body.ports) {
      const { body: cmdline } = await exec(space, `tr '\\0' ' ' < /proc/${pid}/cmdline`);
      expect(cmdline.stdout).toMatch(/http.server|script-/);
      expect(processId).toMatch(/^[0-9a-f]{32}$/);
    }
    const page = await daemon.request("GET", `/api/spaces/${space}/proxy/8000/`);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain("Directory listing");
  });

  it("tell what listens where nothing comes in time", async () => {
    const { status, body } = await daemon.json("POST", "/api/spaces/net/ports/4444/wait", {
      timeoutMs: 100,
    });
    expect([status, body.code]).toEqual([504, "timed_out"]);
    expect(body.error).toMatch(/port 4444 of space "net" within 100 ms.*8000 \(.*python3/);
  });

  it("are checked", async () => {
    for (const bad of ["0", "65536", "x", "80.5"]) {
      expect((await daemon.json("POST", `/api/spaces/net/ports/${bad}/wait`)).status).toBe(400);
    }
    const wrong = await daemon.json("POST", "/api/spaces/net/ports/80/wait", { timeoutMs: -1 });
    expect(wrong.body.code).toBe("invalid_request");
    expect((await ports("nobody")).status).toBe(404);
    const { status, body } = await daemon.json("GET", "/api/spaces/net/proxy/4444/");
    expect([status, body.code]).toEqual([409, "wrong_state"]);
    expect(body.error).toContain("POST /api/spaces/net/ports/4444/wait");
  });

  it("are remembered of a space that sleeps, which looking does not wake and using does", async () => {
    await daemon.json("POST", "/api/spaces/net/stop");
    const { body } = await ports("net");
    expect(body.asleep).toBe(true);
    expect(body.ports).toHaveLength(2);
    expect((await daemon.json("GET", "/api/spaces/net")).body.space.status).toBe("paused");
    const page = await daemon.request("GET", "/api/spaces/net/proxy/8000/");
    expect(page.status).toBe(200);
    expect((await daemon.json("GET", "/api/spaces/net")).body.space.status).toBe("running");
  });
});
