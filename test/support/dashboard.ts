import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { expect } from "vitest";
import type { Daemon } from "./daemon.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const SIZES = {
  wide: { width: 1440, height: 900 },
  phone: { width: 390, height: 844 },
} as const;

/** A browser that has never been here, of a size; `problems` gathers what its pages complain of. */
export async function visit(browser: Browser, size: keyof typeof SIZES = "wide") {
  const phone = size === "phone";
  const context = await browser.newContext({
    viewport: SIZES[size],
    hasTouch: phone,
    isMobile: phone,
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (/Content Security Policy/i.test(message.text())) problems.push(message.text());
  });
  page.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && hostname !== "127.0.0.1") problems.push(request.url());
  });
  return { context, page, problems };
}

/** Opens the dashboard with the key in the address, which is to be gone from it. */
export async function open(page: Page, daemon: Daemon, path: string): Promise<void> {
  await page.goto(`${daemon.url}${path}${path.includes("?") ? "&" : "?"}key=${daemon.key}`);
  await page.waitForSelector(".shell");
  expect(page.url()).not.toContain("key=");
}

/** What axe finds in a page that is serious or worse, as "rule: where". */
export async function seriousFaults(page: Page): Promise<string[]> {
  // Not as a script element: the page's policy refuses those.
  await page.evaluate(AXE);
  return (await page.evaluate(`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
    violations.filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => id + ": " + nodes.map(({ target }) => target.join(" ")).join(", ")))`)) as string[];
}
