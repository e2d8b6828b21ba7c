import { execFile } from "node:child_process";
import { request } from "node:http";
import { promisify } from "node:util";
import type { Finding } from "@clawdspace/client";
import type { Context } from "../context.js";

const execute = promisify(execFile);

/** What can be seen of this machine without a daemon; nothing where the daemon is on another. */
export async function* localFindings(context: Context): AsyncGenerator<Finding> {
  const { hostname } = new URL((await context.server()).url);
  if (!["localhost", "127.0.0.1", "[::1]"].includes(hostname)) return;
  yield await engine(context);
  yield await image(context);
  yield await tailscale();
}

async function engine(context: Context): Promise<Finding> {
  const name = "Docker Engine";
  const version = await fromEngine("/version", context);
  if (version) {
    const { Version } = JSON.parse(version) as { Version: string };
    return { name, status: "ok", detail: `${Version}, as seen from here` };
  }
  const fix = "`clawdspace up` installs or starts it.";
  return { name, status: "failed", detail: "can't be reached", fix };
}

async function image(context: Context): Promise<Finding> {
  const name = "Sandbox image";
  const ref = context.environment.CLAWDSPACE_IMAGE || "clawdspace:latest";
  if (await fromEngine(`/images/${ref}/json`, context)) return { name, status: "ok", detail: ref };
  const fix = "`clawdspace up` builds it.";
  return { name, status: "failed", detail: `${ref} is not there`, fix };
}

async function tailscale(): Promise<Finding> {
  const name = "Tailscale";
  const status = await execute("tailscale", ["status", "--json"]).then(
    ({ stdout }) => stdout,
    () => undefined,
  );
  if (status === undefined) {
    const detail = "not installed; other machines are reached by CLAWDSPACE_NODES";
    return { name, status: "ok", detail };
  }
  const { BackendState } = JSON.parse(status) as { BackendState?: string };
  if (BackendState === "Running") return { name, status: "ok", detail: "running" };
  const detail = `installed, but ${BackendState ?? "not running"}`;
  return { name, status: "warning", detail, fix: "`sudo tailscale up` connects it." };
}

/** What the local engine answers; undefined where it doesn't, or with no success. */
function fromEngine(path: string, { environment }: Context): Promise<string | undefined> {
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
