// Makes docs/screenshots/*.png anew: each page of the dashboard at a desk's and at a phone's size, of daemons of its own.
// Needs a Docker Engine, the sandbox image, a build (`npm run build`) and chromium (CHROMIUM, or /usr/bin/chromium).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { chromium } from "playwright-core";
import { ROOT } from "./setup/sources.mjs";

const OUT = join(ROOT, "docs/screenshots");
const KEY = "screenshots-0123456789";
/** Two daemons at one engine, each with a namespace of its own: to each other they are nodes like any. */
const NODES = { studio: 7990, attic: 7989 };
const URL = `http://localhost:${NODES.studio}`;
const SIZES = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const SPACES = {
  "research-agent": { description: "Reads papers, keeps notes", template: "default" },
  "web-builder": { description: "The landing page", template: "default" },
  "data-pipeline": { description: "Nightly import", template: "offline" },
  "ci-runner": { description: "Runs what agents push", template: "readonly", node: "attic" },
};
const WORK =
  "for i in $(seq 90); do timeout 0.$((RANDOM % 6 + 1)) yes > /dev/null; sleep 0.6; done";
const README =
  "# Landing page\n\nRun `npm run dev` and open port 5173.\n\n- [x] Hero\n- [ ] Pricing\n";
const SERVER = `import { createServer } from "node:http";

// Answers with the time, so that it is seen to live.
createServer((request, response) => {
  response.end(new Date().toISOString());
}).listen(5173);
`;
const PAGES = {
  spaces: "/spaces",
  terminal: "/spaces/web-builder/terminal",
  files: "/spaces/web-builder/files?file=/server.mjs",
  run: "/spaces/web-builder/run",
  processes: "/spaces/web-builder/processes",
  metrics: "/spaces/web-builder/metrics",
  "space-audit": "/spaces/web-builder/audit",
  settings: "/spaces/web-builder/settings",
  templates: "/templates/default",
  audit: "/audit",
  nodes: "/nodes",
  system: "/system",
};

const folder = mkdtempSync(join(tmpdir(), "clawdspace-screenshots-"));
const daemons = Object.entries(NODES).map(([name, port]) => start(name, port));
try {
  await prepare();
  await takeAll();
} finally {
  for (const daemon of daemons) {
    const gone = once(daemon, "exit");
    daemon.kill("SIGTERM");
    await gone;
  }
  for (const name of Object.keys(NODES)) await removeAll(namespaceOf(name));
  rmSync(folder, { recursive: true, force: true });
}

function namespaceOf(name) {
  return `cs-shots-${name}`;
}

function start(name, port) {
  return spawn(process.execPath, [join(ROOT, "packages/api/dist/index.js")], {
    stdio: "inherit",
    env: {
      ...process.env,
      PORT: `${port}`,
      API_KEY: KEY,
      CLAWDSPACE_NODE_NAME: name,
      CLAWDSPACE_NODES: Object.entries(NODES)
        .map(([each, at]) => `${each}=http://127.0.0.1:${at}`)
        .join(","),
      NODES_REFRESH_MS: "2000",
      CLAWDSPACE_NAMESPACE: namespaceOf(name),
      CLAWDSPACE_DATA_DIR: join(folder, name, "data"),
      CLAWDSPACE_CONFIG_DIR: join(folder, name, "config"),
      CLAWDSPACE_METRICS_MS: "1000",
      LOG_LEVEL: "error",
    },
  });
}

async function ask(method, path, body) {
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const answer = await fetch(`${URL}${path}`, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
}

async function allOnline() {
  const headers = { authorization: `Bearer ${KEY}` };
  const answer = await fetch(`${URL}/api/nodes`, { headers }).catch(() => undefined);
  const { nodes = [] } = (await answer?.json()) ?? {};
  return nodes.length > 1 && nodes.every(({ status }) => status === "online");
}

async function prepare() {
  for (let attempt = 0; attempt < 80; attempt++) {
    if (await allOnline()) break;
    await delay(250);
  }
  for (const [name, options] of Object.entries(SPACES)) {
    await ask("POST", "/api/spaces", { name, memory: "512m", ...options });
  }
  const put = (path, text) =>
    ask("PUT", `/api/spaces/web-builder/file?path=${path}`, {
      contentBase64: Buffer.from(text).toString("base64"),
    });
  await put("/README.md", README);
  await put("/server.mjs", SERVER);
  for (const path of ["/src/app.ts", "/src/styles.css", "/package.json"]) await put(path, "\n");
  for (const name of ["web-builder", "research-agent"]) {
    await ask("POST", `/api/spaces/${name}/processes`, { command: WORK, tag: "work" });
  }
  await ask("POST", "/api/spaces/data-pipeline/stop");
  await delay(20_000);
}

async function takeAll() {
  mkdirSync(OUT, { recursive: true });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
  for (const [size, viewport] of Object.entries(SIZES)) {
    const phone = size === "phone";
    const context = await browser.newContext({ viewport, isMobile: phone, hasTouch: phone });
    const page = await context.newPage();
    const take = (name) => page.screenshot({ path: join(OUT, `${name}-${size}.png`) });
    await page.goto(URL);
    await page.waitForSelector(".gate");
    await take("sign-in");
    await page.goto(`${URL}/spaces?key=${KEY}`);
    await page.waitForSelector(".shell");
    for (const [name, path] of Object.entries(PAGES)) {
      await page.goto(`${URL}${path}`);
      await delay(1500);
      if (name === "terminal") {
        await page.locator(".screen:not([hidden]) .xterm-helper-textarea").focus();
        await page.keyboard.type("clear; git --version; python3 --version; ls --color -la\n");
        await delay(1500);
      }
      if (name === "run") {
        await page.getByLabel("Command").fill("git --version && uname -sm && nproc");
        await page.keyboard.press("Enter");
        await page.getByText(/^exit 0/).waitFor();
        await delay(500);
      }
      await take(name);
    }
    await page.goto(`${URL}/spaces?create`);
    await delay(1500);
    await take("create");
    if (!phone) {
      await page.emulateMedia({ colorScheme: "dark" });
      await page.goto(`${URL}/spaces`);
      await delay(1500);
      await take("spaces-dark");
      await page.keyboard.press("Control+k");
      await delay(500);
      await take("palette-dark");
    }
    await context.close();
  }
  await browser.close();
}

async function removeAll(namespace) {
  const docker = new Docker();
  const filters = { label: [`clawdspace.namespace=${namespace}`] };
  for (const { Id } of await docker.listContainers({ all: true, filters })) {
    await docker.getContainer(Id).remove({ force: true, v: true });
  }
  const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
  for (const { Name } of Volumes ?? []) await docker.getVolume(Name).remove();
  const { uninstallNetwork } = await import("../packages/api/dist/network/uninstall.js");
  const { DockerEngine } = await import("../packages/api/dist/engine/docker-engine.js");
  const host = process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
  await uninstallNetwork(new DockerEngine(host), namespace, "clawdspace:latest");
}
