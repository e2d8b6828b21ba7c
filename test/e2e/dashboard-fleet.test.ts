import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { startBrowser } from "../support/browser.js";
import { type Daemon, freePort, startDaemon } from "../support/daemon.js";
import { open, seriousFaults, visit } from "../support/dashboard.js";

const REFRESH_MS = 2000;
let near: Daemon;
let far: Daemon;
let browser: Browser;
let page: Page;
let problems: string[];

// Two daemons with namespaces of their own at one engine; each is to the other a node like any.
beforeAll(async () => {
  const [a, b] = [await freePort(), await freePort()];
  const env = {
    API_KEY: "fleet-key-0123456789abcdef",
    CLAWDSPACE_NODES: `near=http://127.0.0.1:${a},far=http://127.0.0.1:${b}`,
    NODES_REFRESH_MS: `${REFRESH_MS}`,
  };
  [near, far] = await Promise.all([
    startDaemon({ ...env, PORT: `${a}` }),
    startDaemon({ ...env, PORT: `${b}` }),
  ]);
  const both = async () => {
    const { nodes } = (await near.json("GET", "/api/nodes")).body;
    expect(nodes).toMatchObject([{ status: "online" }, { status: "online" }]);
  };
  await vi.waitFor(both, { timeout: 20_000, interval: 200 });
  browser = await startBrowser();
  ({ page, problems } = await visit(browser));
  page.setDefaultTimeout(15_000);
});
afterAll(async () => {
  await browser?.close();
  await near?.stop();
  await far?.stop();
});

const until = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: 20_000 });

it("shows every node's spaces, by node, and makes one where that is wanted", async () => {
  await near.space("here");
  await open(page, near, "/spaces");
  await page.getByRole("link", { name: "here", exact: true }).waitFor();
  await page.keyboard.press("c");
  const form = page.getByRole("dialog");
  await form.getByLabel("Name").fill("there");
  await form.getByRole("textbox", { name: "Memory" }).fill("256m");
  await form.getByLabel("Node", { exact: true }).selectOption("far");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.waitForURL(/\/spaces\/there@far\/terminal/);
  await page.waitForSelector('.screen:not([hidden])[data-state="open"]');
  await page.locator(".screen:not([hidden]) .xterm-helper-textarea").focus();
  await page.keyboard.type("echo typed > typed.txt");
  await page.keyboard.press("Enter");
  await until(async () => {
    const command = { command: "cat typed.txt" };
    return (await far.json("POST", "/api/spaces/there/exec", command)).body.stdout;
  }).toBe("typed");

  await page.goto(`${near.url}/spaces`);
  await page.getByRole("link", { name: "there@far", exact: true }).waitFor();
  await page.getByLabel("Node", { exact: true }).selectOption("near");
  await until(() => page.locator(".space-row a.name").allTextContents()).toEqual(["here"]);
  await page.getByLabel("Node", { exact: true }).selectOption("far");
  await until(() => page.locator(".space-row a.name").allTextContents()).toEqual(["there@far"]);
  expect(await seriousFaults(page)).toEqual([]);
  await page.getByRole("button", { name: "Actions for there@far" }).click();
  await page.getByRole("menuitem", { name: "Put to sleep" }).click();
  await until(async () => (await far.json("GET", "/api/spaces/there")).body.space.status).toBe(
    "paused",
  );
  await page.locator(".space-row.paused").waitFor();
});

it("shows that a node died within one look at it, and that it is back", async () => {
  await page.goto(`${near.url}/nodes`);
  const card = page.getByRole("article", { name: "far" });
  await card.getByText("Online").waitFor();
  for (const name of ["Memory", "Disk"]) await card.getByRole("meter", { name }).waitFor();
  await page.locator(".live.open").waitFor();
  await far.kill("SIGKILL");
  const died = Date.now();
  await card.getByText("Offline").waitFor();
  console.log(`shown as offline ${Date.now() - died} ms after it died`);
  await page.getByText("1 of 2 online").waitFor();
  expect(await seriousFaults(page)).toEqual([]);
  await page.goto(`${near.url}/spaces`);
  await page.getByText("no answer from far").waitFor();
  await page.getByRole("link", { name: "here", exact: true }).waitFor();
  await far.run();
  await page.goto(`${near.url}/nodes`);
  await card.getByText("Online").waitFor();
  expect(problems).toEqual([]);
});
