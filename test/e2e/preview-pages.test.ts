import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startBrowser } from "../support/browser.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { startSpaceServer, waitForPort } from "../support/space-server.js";

const INDEX = `<!doctype html><title>Served</title>
<link rel="stylesheet" href="page.css"><img src="dot.svg"><p id="got"></p>
<a href="sub/">deeper</a>
<script>
  fetch("data.json").then((answer) => answer.json()).then(({ text }) => {
    document.querySelector("#got").textContent = text;
  });
</script>`;

/** Hosts below it are of one site, as those of a domain that somebody owns: a cookie of one goes along from pages of all. */
const DOMAIN = "preview.test";

/** What a page tries that would speak for whoever looks at it. `space` is the URL of a space of theirs. */
const attempts = (space: string) => `(async () => {
  const attempt = async (task) => {
    try {
      return await task();
    } catch (error) {
      return error.name;
    }
  };
  const frame = document.body.appendChild(document.createElement("iframe"));
  const write = { method: "POST", credentials: "include", mode: "no-cors" };
  return {
    origin: window.origin,
    cookie: await attempt(() => document.cookie),
    storage: await attempt(() => localStorage.length),
    read: await attempt(async () => (await fetch("/api/spaces", { credentials: "include" })).status),
    write: await attempt(async () => (await fetch("${space}/stop", write)).type),
    terminal: await attempt(() => new Promise((resolve) => {
      const socket = new WebSocket("${space.replace("http", "ws")}/ports/9000/tcp");
      socket.onopen = () => resolve("open");
      socket.onerror = () => resolve("refused");
    })),
    worker: await attempt(() => navigator.serviceWorker.register("sw.js").then(() => "registered")),
    frame: await attempt(() => frame.contentWindow.document.cookie),
  };
})()`;

describe("pages of a space in a real browser", () => {
  let daemon: Daemon;
  let browser: Browser;
  let context: BrowserContext;
  let port: string;

  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_PREVIEW_DOMAIN: DOMAIN });
    port = new URL(daemon.url).port;
    browser = await startBrowser(DOMAIN);
    await daemon.space("web", { template: "offline" });
    await daemon.space("evil", { template: "offline" });
    for (const [path, text] of Object.entries({
      "/site/index.html": INDEX,
      "/site/page.css": "p { color: rgb(7, 8, 9); }",
      "/site/dot.svg": `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`,
      "/site/data.json": `{"text": "from the space"}`,
      "/site/sub/index.html": "<title>Deeper</title><h1>deeper</h1>",
    })) {
      await daemon.json("PUT", `/api/spaces/web/file?path=${path}`, {
        contentBase64: Buffer.from(text).toString("base64"),
      });
    }
    await daemon.json("POST", "/api/spaces/web/exec", {
      command: "python3 -m http.server 8000 --directory site >/dev/null 2>&1 &",
    });
    await waitForPort(daemon, "web", 8000);
    await startSpaceServer(daemon, "web", 9000);
    await startSpaceServer(daemon, "evil", 9000);
    // Somebody who is signed in to the dashboard at the same time.
    context = await browser.newContext();
    const signedIn = await context.request.post(`http://localhost:${port}/api/session`, {
      data: { key: daemon.key },
    });
    expect(signedIn.status()).toBe(200);
  });
  afterAll(async () => {
    await browser?.close();
    await daemon?.stop();
  });

  const link = async (space: string, at: number, options: object = {}) =>
    (await daemon.json("POST", `/api/spaces/${space}/ports/${at}/link`, options)).body
      .url as string;

  async function expectSite(url: string) {
    const page = await context.newPage();
    const failed: string[] = [];
    page.on("requestfailed", (request) => failed.push(request.url()));
    page.on("response", (response) => {
      if (response.status() >= 400) failed.push(`${response.status()} ${response.url()}`);
    });
    await page.goto(url);
    await expect.poll(() => page.textContent("#got")).toBe("from the space");
    expect(await page.evaluate(`getComputedStyle(document.querySelector("p")).color`)).toBe(
      "rgb(7, 8, 9)",
    );
    expect(await page.evaluate(`document.querySelector("img").naturalWidth`)).toBe(9);
    const address = page.url();
    await page.click("a");
    await expect.poll(() => page.title()).toBe("Deeper");
    await page.goBack();
    await expect.poll(() => page.textContent("#got")).toBe("from the space");
    expect(failed.filter((each) => !each.endsWith("/favicon.ico"))).toEqual([]);
    return { page, address };
  }

  it("work from the proxy's address, whose key the page never sees", async () => {
    for (const asked of [
      `${daemon.url}/api/spaces/web/proxy/8000/?key=${daemon.key}`,
      `http://localhost:${port}/api/spaces/web/proxy/8000/`,
    ]) {
      const { page, address } = await expectSite(asked);
      expect(address).toMatch(/\/api\/spaces\/web\/preview\/[\w-]+\/$/);
      expect(await page.evaluate("location.href + document.referrer")).not.toContain("key");
      await page.close();
    }
  });

  it("work from a link, on a host of their own, which keeps a session and no token", async () => {
    const { page, address } = await expectSite(await link("web", 8000));
    expect(address).toBe(`http://8000-web.${DOMAIN}:${port}/`);
    const able = await page.evaluate(`
      localStorage.setItem("a", "1");
      document.cookie = "mine=1";
      [window.origin, localStorage.getItem("a"), document.cookie];
    `);
    expect(able).toEqual([`http://8000-web.${DOMAIN}:${port}`, "1", "mine=1"]);
    await page.close();
    const closed = await browser.newPage();
    const answer = await closed.goto(address);
    expect(answer?.status()).toBe(403);
    expect(await closed.textContent("h1")).toBe("This preview is closed");
    await closed.context().close();
  });

  it("see no session of the dashboard's, neither in the browser nor in the space", async () => {
    for (const url of [
      `http://localhost:${port}/api/spaces/web/proxy/9000/record`,
      (await link("web", 9000)).replace("/?", "/record?"),
    ]) {
      const page = await context.newPage();
      await page.goto(url);
      const seen = (await page.textContent("body")) ?? "";
      expect(JSON.parse(seen)).toMatchObject({ method: "GET", url: "/record" });
      expect(seen).not.toMatch(/clawdspace/i);
      expect(seen).not.toContain(daemon.key);
      await page.close();
    }
    const names = (await context.cookies()).map(({ name }) => name);
    expect(names).toContain("clawdspace_session");
    const session = (await context.cookies()).find(({ name }) => name === "clawdspace_session");
    expect(session?.value).not.toBe("evil");
  });

  it("can't act as the API's origin with the session of who looks at them", async () => {
    const page = await context.newPage();
    const answered: string[] = [];
    page.on("response", (response) => answered.push(`${response.status()} ${response.url()}`));
    await page.goto(`http://localhost:${port}/api/spaces/evil/proxy/9000/record`);
    const tried = await page.evaluate<Record<string, string>>(
      attempts(`http://localhost:${port}/api/spaces/web`),
    );
    expect(tried).toMatchObject({
      origin: "null",
      cookie: "SecurityError",
      storage: "SecurityError",
      read: "TypeError",
      write: "TypeError",
      terminal: "refused",
      worker: "SecurityError",
      frame: "SecurityError",
    });
    // A form is a navigation, which a sandboxed page may do; it comes without the session too.
    const action = `http://localhost:${port}/api/spaces/web/stop`;
    await page.evaluate(`{
      const form = document.createElement("form");
      Object.assign(form, { action: "${action}", method: "post" });
      document.body.append(form);
      form.submit();
    }`);
    await expect.poll(() => answered).toContain(`401 ${action}`);
    const { body } = await daemon.json("GET", "/api/spaces/web");
    expect(body.space.status).toBe("running");
    await page.close();
  });

  it("can't use another space's preview that the same person has open", async () => {
    const mine = await context.newPage();
    await mine.goto(await link("web", 9000));
    const page = await context.newPage();
    await page.goto(await link("evil", 9000));
    const target = `9000-web.${DOMAIN}:${port}`;
    const tried = await page.evaluate(`(async () => ({
      read: await fetch("http://${target}/record", { credentials: "include" }).then(
        (answer) => answer.status,
        (error) => error.name,
      ),
      socket: await new Promise((resolve) => {
        const socket = new WebSocket("ws://${target}/");
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("refused");
      }),
    }))()`);
    expect(tried).toEqual({ read: "TypeError", socket: "refused" });
    await mine.close();
    await page.close();
  });
});
