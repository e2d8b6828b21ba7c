import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EventBus } from "./event-bus.js";
import { Webhooks } from "./webhooks.js";

const SECRET = `whsec_${Buffer.from("a secret of some length").toString("base64")}`;
let server: Server;
let url: string;
let received: { headers: IncomingHttpHeaders; body: string }[];
let status: (n: unknown) => number;
let webhooks: Webhooks;

beforeEach(async () => {
  received = [];
  status = () => 204;
  server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += String(piece);
    const code = status(JSON.parse(body).data?.n);
    if (code < 300) received.push({ headers: request.headers, body });
    response.writeHead(code).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=x`;
});
afterEach(async () => {
  webhooks.stop();
  server.close();
});

const begin = (events: EventBus, urls = [url]) => {
  const options = { urls, secret: SECRET, backoffMs: [10, 20, 30] };
  webhooks = new Webhooks(events, options, pino({ level: "silent" }));
  webhooks.start();
};
const numbers = () => received.map(({ body }) => JSON.parse(body).data?.n);

test("a receiver gets every event in order, with a signature that it can check", async () => {
  const events = new EventBus();
  begin(events);
  for (let n = 0; n < 30; n++) events.publish({ type: "file.changed", space: "dev", data: { n } });
  await expect.poll(numbers, { timeout: 10_000 }).toEqual(Array.from({ length: 30 }, (_, n) => n));
  for (const { headers, body } of received) {
    const signed = Object.fromEntries(
      Object.entries(headers).map(([key, value]) => [key, `${value}`]),
    );
    expect(new Webhook(SECRET).verify(body, signed)).toMatchObject({
      type: "file.changed",
      space: "dev",
    });
    expect(() => new Webhook(SECRET).verify(body.replace("dev", "dex"), signed)).toThrow();
  }
});

test("what a receiver refused is sent again, and another receiver doesn't wait for it", async () => {
  const events = new EventBus();
  let refusals = 3;
  status = () => (refusals-- > 0 ? 500 : 200);
  begin(events, ["http://127.0.0.1:1/", url]);
  events.publish({ type: "space.created", data: { n: 0 } });
  events.publish({ type: "space.paused", data: { n: 1 } });
  await expect.poll(numbers, { timeout: 10_000 }).toEqual([0, 1]);
});

test("an event that is never taken is given up, and a receiver that missed too much is told", async () => {
  const events = new EventBus(4);
  let attempts = 0;
  status = (n) => (n === 0 ? 500 + attempts++ : 200);
  begin(events);
  events.publish({ type: "space.created", data: { n: 0 } });
  await expect.poll(() => attempts, { timeout: 10_000 }).toBeGreaterThan(0);
  // While it is tried again, more happens than is kept.
  for (let n = 1; n < 12; n++) events.publish({ type: "file.changed", data: { n } });
  await expect.poll(numbers, { timeout: 10_000 }).toEqual([undefined, 8, 9, 10, 11]);
  expect(attempts).toBe(4);
  expect(JSON.parse(received[0]?.body ?? "").type).toBe("stream.reset");
});
