import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startBrowser } from "../support/browser.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { waitForPort } from "../support/space-server.js";
import { viteArchive } from "../support/vite.js";

const FILES: Record<string, string> = {
  "index.html": `<!doctype html><title>Hot</title><h1 id="text"></h1><script type="module" src="/main.js"></script>`,
  "main.js": `
    import "./style.css";
    import { text } from "./text.js";
    const show = (text) => { document.querySelector("#text").textContent = text; };
    show(text);
    import.meta.hot.accept("./text.js", (changed) => show(changed.text));
  `,
  "style.css": "h1 { color: rgb(1, 2, 3); }",
  "text.js": `export const text = "first";`,
  "package.json": `{ "type": "module" }`,
};

describe("a Vite dev server in a space, in a real browser", () => {
  let daemon: Daemon;
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_PREVIEW_DOMAIN: "localhost" });
    browser = await startBrowser();
    // Without network: whatever is needed comes and goes through the guest agent.
    await daemon.space("app", { template: "offline", memory: "1g" });
    const { status } = await daemon.request(
      "PUT",
      "/api/spaces/app/files/archive?path=/",
      await viteArchive(),
      { headers: { "content-type": "application/gzip" } },
    );
    expect(status).toBe(200);
    for (const [name, text] of Object.entries(FILES)) await write(name, text);
  });
  afterAll(async () => {
    await browser?.close();
    await daemon?.stop();
  });
  afterEach(async () => {
    await page?.context().close();
    faults.length = 0;
  });

  async function write(name: string, text: string): Promise<void> {
    const { status } = await daemon.json("PUT", `/api/spaces/app/file?path=/${name}`, {
      contentBase64: Buffer.from(text).toString("base64"),
    });
    expect(status).toBe(200);
  }

  async function startVite(port: number, ...args: string[]): Promise<void> {
    const command = `node node_modules/vite/bin/vite.js --port ${port} --strictPort ${args.join(" ")} >vite-${port}.log 2>&1 &`;
    await daemon.json("POST", "/api/spaces/app/exec", { command });
    await waitForPort(daemon, "app", port);
  }

  /** Opens the page as a person does who has nothing but the link, and changes a file under it. */
  async function expectHotReload(url: string): Promise<void> {
    await write("text.js", FILES["text.js"] ?? "");
    page = await (await browser.newContext()).newPage();
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("requestfailed", (request) => faults.push(request.url()));
    const sockets: string[] = [];
    page.on("websocket", (socket) => sockets.push(socket.url()));
    await page.goto(url);
    await expect.poll(() => page.textContent("#text")).toBe("first");
    const color = () => page.evaluate(`getComputedStyle(document.querySelector("#text")).color`);
    expect(await color()).toBe("rgb(1, 2, 3)");
    await expect.poll(() => sockets.length).toBe(1);
    await page.evaluate("window.untouched = true");
    await write("text.js", `export const text = "second";`);
    await expect.poll(() => page.textContent("#text"), { timeout: 15_000 }).toBe("second");
    await write("style.css", "h1 { color: rgb(4, 5, 6); }");
    await expect.poll(color, { timeout: 15_000 }).toBe("rgb(4, 5, 6)");
    // Hot: the page itself was never loaded again.
    expect(await page.evaluate("window.untouched")).toBe(true);
    await write("style.css", FILES["style.css"] ?? "");
    expect(faults).toEqual([]);
  }

  it("reloads hot on a host of its own", async () => {
    await startVite(5173);
    const link = await daemon.json("POST", "/api/spaces/app/ports/5173/link");
    expect(link.body.url).toMatch(/^http:\/\/5173-app\.localhost:\d+\/\?clawdspace_token=/);
    // The daemon was reached as 127.0.0.1; the browser goes to the name.
    await expectHotReload(link.body.url);
    expect(page.url()).toMatch(/^http:\/\/5173-app\.localhost:\d+\/$/);
  });

  it("reloads hot below the API's own paths", async () => {
    const link = await daemon.json("POST", "/api/spaces/app/ports/5174/link", {
      via: "path",
      keepPrefix: true,
    });
    await startVite(5174, "--base", link.body.basePath);
    await expectHotReload(link.body.url);
    expect(await page.evaluate("window.origin")).toBe("null");
  });
});
