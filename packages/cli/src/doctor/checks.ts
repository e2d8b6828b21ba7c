import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { request } from "node:http";
import { promisify } from "node:util";
import { paths } from "../config-file.js";
import type { Context } from "../context.js";
import { describe } from "../failure.js";
import { VERSION } from "../version.js";

export interface Finding {
  status: "ok" | "warning" | "failed";
  detail: string;
  fix?: string;
}
interface Check {
  name: string;
  run(context: Context): Promise<Finding>;
}

const MAX_CLOCK_OFFSET_MS = 30_000;
const LITTLE_DISK = 90;
const execute = promisify(execFile);

const ok = (detail: string): Finding => ({ status: "ok", detail });
const warning = (detail: string, fix: string): Finding => ({ status: "warning", detail, fix });
const failed = (detail: string, fix: string): Finding => ({ status: "failed", detail, fix });

/** From the machine outwards; each says what it found and, where that is bad, what mends it. */
export const checks: Check[] = [
  {
    name: "Node.js",
    async run() {
      const { node } = process.versions;
      const [major = 0, minor = 0] = node.split(".").map(Number);
      if (major > 20 || (major === 20 && minor >= 19)) return ok(node);
      return failed(`${node} is too old`, "Install 20.19 or later: https://nodejs.org/en/download");
    },
  },
  {
    name: "Config",
    async run({ environment, servers }) {
      const { config } = paths(environment);
      servers().configured();
      const mode = statSync(config, { throwIfNoEntry: false })?.mode;
      if (mode === undefined) return ok("no profiles");
      if ((mode & 0o077) === 0) return ok(config);
      return warning(`others can read ${config}`, `chmod 600 ${config}`);
    },
  },
  {
    name: "Daemon",
    async run(context) {
      const { url } = await context.server();
      try {
        const { version } = await (await context.clawdspace()).health();
        if (version === VERSION) return ok(`${version} at ${url}`);
        return warning(`${version} at ${url}, and this is ${VERSION}`, "Update the older one.");
      } catch (error) {
        return failed(describe(error).message, "`clawdspace up` starts one here.");
      }
    },
  },
  {
    name: "Key",
    async run(context) {
      const { keyFrom } = await context.server();
      try {
        const { name, role } = await (await context.clawdspace()).session.get();
        return ok(`"${name}" (${role})${keyFrom ? `, from ${keyFrom}` : ""}`);
      } catch (error) {
        return failed(
          `${describe(error).message}${keyFrom ? ` (key from ${keyFrom})` : " (no key)"}`,
          "`clawdspace config set-key < FILE` keeps the key that the daemon showed.",
        );
      }
    },
  },
  {
    name: "Docker Engine",
    async run(context) {
      try {
        const { docker } = await (await context.clawdspace()).system();
        return ok(`${docker.version}, as the daemon sees it`);
      } catch {
        const version = await engine("/version", context);
        if (!version) return failed("can't be reached", "`clawdspace up` installs or starts it.");
        return ok(`${(JSON.parse(version) as { Version: string }).Version}, as seen from here`);
      }
    },
  },
  {
    name: "Sandbox image",
    async run(context) {
      if (!(await isLocal(context))) return ok("not looked at: the daemon is on another machine");
      const image = context.environment.CLAWDSPACE_IMAGE || "clawdspace:latest";
      if (await engine(`/images/${image}/json`, context)) return ok(image);
      return failed(`${image} is not there`, "`clawdspace up` builds it.");
    },
  },
  {
    name: "Firewall",
    async run(context) {
      const clawdspace = await context.clawdspace();
      try {
        const [first] = (await clawdspace.spaces.list()).filter(
          ({ status }) => status === "running",
        );
        if (!first) return ok("not looked at: no space runs");
        const { network } = (await clawdspace.spaces.get(first.name)).security ?? {};
        if (network?.mode === "none") return ok(`"${first.name}" has no network`);
        const checked = network?.checkedAt;
        if (checked)
          return ok(`rules by ${network?.enforcedBy ?? "the engine"}, seen in force at ${checked}`);
        return warning(
          `no rules were seen for "${first.name}"`,
          "docs/SECURITY.md tells what they need.",
        );
      } catch (error) {
        return warning(
          `not looked at: ${describe(error).message}`,
          "Mend the daemon or the key first.",
        );
      }
    },
  },
  {
    name: "Tailscale",
    async run() {
      const status = await output("tailscale", ["status", "--json"]);
      if (status === undefined)
        return ok("not installed; other machines are reached by CLAWDSPACE_NODES");
      const { BackendState } = JSON.parse(status) as { BackendState?: string };
      if (BackendState === "Running") return ok("running");
      return warning(`installed, but ${BackendState ?? "not running"}`, "sudo tailscale up");
    },
  },
  {
    name: "GPU",
    async run(context) {
      try {
        const { gpu, gpuName } = await (await context.clawdspace()).capabilities();
        if (gpu) return ok(gpuName ?? "yes");
      } catch {}
      const local = await output("nvidia-smi", ["-L"]);
      if (!local) return ok("none");
      return warning(
        "a card is here that the daemon can't give to spaces",
        "Install the NVIDIA Container Toolkit.",
      );
    },
  },
  {
    name: "Disk",
    async run(context) {
      try {
        const { disk } = await (await context.clawdspace()).system();
        if (!disk) return ok("not known");
        const text = `${disk.available} of ${disk.total} free`;
        if (Number.parseFloat(disk.percentage) < LITTLE_DISK) return ok(text);
        return warning(text, "Remove spaces, or images with `docker image prune`.");
      } catch {
        return ok("not looked at: the daemon doesn't answer");
      }
    },
  },
  {
    name: "Clock",
    async run(context) {
      const { url } = await context.server();
      const before = Date.now();
      const answer = await fetch(`${url}/api/health`).catch(() => undefined);
      const date = Date.parse(answer?.headers.get("date") ?? "");
      if (Number.isNaN(date)) return ok("not compared: the daemon tells no time");
      const offset = date - (before + Date.now()) / 2;
      if (Math.abs(offset) < MAX_CLOCK_OFFSET_MS) return ok("as the daemon's");
      return warning(
        `${Math.round(Math.abs(offset) / 1000)} s ${offset > 0 ? "behind" : "before"} the daemon's`,
        "Set both by NTP: sudo timedatectl set-ntp true",
      );
    },
  },
];

async function isLocal(context: Context): Promise<boolean> {
  const { hostname } = new URL((await context.server()).url);
  return ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
}

/** What the local engine answers; undefined where it doesn't, or with no success. */
function engine(path: string, { environment }: Context): Promise<string | undefined> {
  const host = environment.DOCKER_HOST || "unix:///var/run/docker.sock";
  const target = host.startsWith("unix://")
    ? { socketPath: host.slice("unix://".length), path }
    : { ...new URL(host.replace(/^tcp:/, "http:")), path };
  return new Promise((resolve) => {
    const asked = request(target, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (piece) => {
        text += piece;
      });
      answer.on("end", () => resolve(answer.statusCode === 200 ? text : undefined));
    });
    asked.on("error", () => resolve(undefined)).end();
  });
}

async function output(program: string, args: string[]): Promise<string | undefined> {
  return await execute(program, args).then(
    ({ stdout }) => stdout,
    () => undefined,
  );
}
