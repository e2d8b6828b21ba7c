import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import fastify from "fastify";
import { describe, expect, test } from "vitest";
import { addressesOf, listen } from "./listen.js";

const asked = { host: undefined, authDisabled: false, insecureBind: false };

describe("addressesOf", () => {
  test("the loopback is always among them, unless others are asked for", () => {
    expect(addressesOf(asked)[0]).toBe("127.0.0.1");
    expect(addressesOf({ ...asked, host: "0.0.0.0" })).toEqual(["0.0.0.0"]);
    expect(addressesOf({ ...asked, host: "::1, 10.0.0.1" })).toEqual(["::1", "10.0.0.1"]);
  });

  test("without authentication only the loopback, or what is insisted on", () => {
    const open = { ...asked, authDisabled: true };
    expect(addressesOf(open)).toEqual(["127.0.0.1"]);
    expect(addressesOf({ ...open, host: "127.0.0.1,::1,localhost" })).toHaveLength(3);
    expect(() => addressesOf({ ...open, host: "0.0.0.0" })).toThrow("CLAWDSPACE_INSECURE_BIND");
    expect(() => addressesOf({ ...open, host: "127.0.0.1,10.0.0.1" })).toThrow("10.0.0.1");
    expect(addressesOf({ ...open, host: "0.0.0.0", insecureBind: true })).toEqual(["0.0.0.0"]);
  });
});

describe("listen", () => {
  test("a close answers what is in flight at every address, and waits for no idle connection", async () => {
    const app = fastify({ forceCloseConnections: "idle" });
    let arrived = 0;
    app.get("/slow", async () => {
      arrived++;
      await delay(200);
      return "answered";
    });
    app.get("/", async () => "served");
    const url = await listen(app, 0, ["127.0.0.1", "127.0.0.2"]);
    const agent = new Agent({ keepAlive: true });
    const get = async (base: string, path: string) =>
      await new Promise<string>((resolve, reject) => {
        request(`${base}${path}`, { agent }, (answer) => text(answer).then(resolve, reject))
          .on("error", reject)
          .end();
      });
    const other = url.replace("127.0.0.1", "127.0.0.2");
    expect(await get(url, "/")).toBe("served");
    expect(await get(other, "/")).toBe("served");
    const slow = [get(url, "/slow"), get(other, "/slow")];
    await expect.poll(() => arrived).toBe(2);
    // One that has said nothing yet.
    const silent = [url, other].map((each) =>
      connect(Number(new URL(each).port), new URL(each).hostname),
    );
    await Promise.all(silent.map((socket) => once(socket, "connect")));
    await app.close();
    expect(await Promise.all(slow)).toEqual(["answered", "answered"]);
    await expect(get(other, "/")).rejects.toThrow();
    agent.destroy();
  });
});
