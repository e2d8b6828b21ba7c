import { type Browser, chromium } from "playwright-core";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  // Nothing of its own over the network.
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Starts a real browser without a window, Debian's chromium; `browser.newContext()` is a user of its own. The caller closes
 * it.
 * @param domain whose host names lead to this machine, as those below "localhost" do anyway.
 */
export async function startBrowser(domain?: string): Promise<Browser> {
  const rules = domain ? [`--host-resolver-rules=MAP *.${domain} 127.0.0.1`] : [];
  return await chromium.launch({ executablePath: EXECUTABLE, args: [...ARGUMENTS, ...rules] });
}
