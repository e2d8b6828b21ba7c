import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startBrowser } from "../support/browser.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { seriousFaults, visit } from "../support/dashboard.js";

let daemon: Daemon;
let browser: Browser;
let page: Page;
let problems: string[];

beforeAll(async () => {
  daemon = await startDaemon({ CLAWDSPACE_METRICS_MS: "1000" });
  browser = await startBrowser();
  ({ page, problems } = await visit(browser, "phone"));
  page.setDefaultTimeout(15_000);
});
afterAll(async () => {
  await browser?.close();
  await daemon?.stop();
});

const until = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: 20_000 });
const at = (path: string) => page.goto(`${daemon.url}${path}`);
const exec = async (command: string) =>
  (await daemon.json("POST", "/api/spaces/pocket/exec", { command })).body.stdout as string;
const statusOf = async (space: string) =>
  (await daemon.json("GET", `/api/spaces/${space}`)).body.space?.status;

it("signs in, makes a space, types with the key bar, and edits a file", async () => {
  await at("/");
  await page.getByLabel("API key").fill(daemon.key);
  await page.getByRole("button", { name: "Sign in" }).tap();
  await page.getByText("No spaces yet").waitFor();
  await page.getByRole("button", { name: "New space" }).first().tap();
  await page.getByLabel("Name").fill("pocket");
  await page.getByLabel("Template", { exact: true }).selectOption("offline");
  await page.getByLabel("Memory").fill("256m");
  await page.getByRole("button", { name: "Create", exact: true }).tap();
  await page.waitForURL(/\/spaces\/pocket\/terminal/);

  await page.waitForSelector('.screen:not([hidden])[data-state="open"]');
  await page.locator(".screen:not([hidden]) .xterm-helper-textarea").focus();
  await page.keyboard.type("echo tapped > tap; cat");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Ctrl", exact: true }).tap();
  await page.getByRole("button", { name: "Control C" }).tap();
  await exec("touch found-by-tab");
  await page.keyboard.type("ls fou");
  await page.getByRole("button", { name: "Tab", exact: true }).tap();
  await page.keyboard.type(">> tap");
  await page.keyboard.press("Enter");
  await until(() => exec("cat tap")).toBe("tapped\nfound-by-tab");
  await page.getByRole("button", { name: "Up", exact: true }).tap();
  await page.keyboard.press("Enter");
  await until(() => exec("cat tap")).toBe("tapped\nfound-by-tab\nfound-by-tab");

  await page.getByRole("link", { name: "Files", exact: true }).tap();
  const note = { name: "note.txt", mimeType: "text/plain", buffer: Buffer.from("on the way\n") };
  await page.getByLabel("Files to upload").setInputFiles(note);
  await page.locator(".tree").getByRole("button", { name: "note.txt" }).tap();
  await page.locator(".cm-content").tap();
  await page.keyboard.press("Control+Home");
  await page.keyboard.type("written ");
  await page.getByRole("button", { name: "Save" }).tap();
  await until(() => exec("cat note.txt")).toBe("written on the way");
  await page.getByRole("button", { name: "All files" }).tap();
  await page.locator(".tree").getByRole("button", { name: "note.txt" }).waitFor();
});

it("fits: nothing serious for axe to find on any page, and nothing wider than the screen", async () => {
  const overflow = "document.documentElement.scrollWidth - innerWidth";
  for (const path of [
    "/spaces",
    ...["files", "run", "processes", "metrics", "audit", "settings"].map(
      (part) => `/spaces/pocket/${part}`,
    ),
    ...["/nodes", "/templates", "/templates/default", "/audit", "/system"],
  ]) {
    await at(path);
    await page.locator("h1").waitFor();
    await until(() => page.locator(".skeleton").count()).toBe(0);
    expect([path, await seriousFaults(page)]).toEqual([path, []]);
    expect([path, await page.evaluate(overflow)]).toEqual([path, 0]);
  }
});

it("puts to sleep, wakes and removes, one and several; and signs out", async () => {
  await at("/spaces/pocket/settings");
  await page.getByRole("button", { name: "Sleep" }).tap();
  await until(() => statusOf("pocket")).toBe("paused");
  await page.getByRole("button", { name: "Wake" }).tap();
  await until(() => statusOf("pocket")).toBe("running");
  await daemon.space("other", { template: "offline" });
  await page.getByRole("link", { name: "All spaces" }).tap();
  for (const name of ["pocket", "other"]) await page.getByLabel(`Select ${name}`).tap();
  const bar = page.getByRole("toolbar", { name: "Selected spaces" });
  await bar.getByRole("button", { name: "Sleep" }).tap();
  await until(async () => [await statusOf("pocket"), await statusOf("other")]).toEqual([
    "paused",
    "paused",
  ]);
  await bar.getByRole("button", { name: "Wake" }).tap();
  await until(() => page.locator(".space-card.running").count()).toBe(2);
  await bar.getByRole("button", { name: "Remove…" }).tap();
  await page.getByText(`${daemon.namespace}-vol-pocket`).waitFor();
  await page.getByLabel("Keep the volume").tap();
  await page.getByRole("button", { name: "Remove with files" }).tap();
  await page.getByText("No spaces yet").waitFor();
  expect(await statusOf("other")).toBeUndefined();
  await page.getByRole("link", { name: "System" }).tap();
  await page.getByLabel("Session").getByRole("button", { name: "Sign out" }).tap();
  await page.getByLabel("API key").waitFor();
  expect(problems).toEqual([]);
});

it("warns on every page where authentication is off", async () => {
  const open = await startDaemon({ CLAWDSPACE_AUTH_DISABLED: "true", CLAWDSPACE_POOL: "0" });
  try {
    const visitor = await visit(browser, "phone");
    for (const path of ["/spaces", "/nodes", "/templates", "/audit", "/system"]) {
      await visitor.page.goto(`${open.url}${path}`);
      await visitor.page.getByText("Authentication is off").waitFor();
    }
    // The doctor says it too, with what mends it.
    const finding = visitor.page.locator('.finding[data-status="warning"]');
    await finding.getByText("owns this machine").waitFor();
    await finding.getByText("Unset CLAWDSPACE_AUTH_DISABLED").waitFor();
    expect(await seriousFaults(visitor.page)).toEqual([]);
    expect(visitor.problems).toEqual([]);
    await visitor.context.close();
  } finally {
    await open.stop();
  }
});
