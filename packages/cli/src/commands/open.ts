import { spawn } from "node:child_process";
import type { Context } from "../context.js";

const OPENERS: Partial<Record<NodeJS.Platform, string[]>> = {
  darwin: ["open"],
  win32: ["cmd", "/c", "start", ""],
};

export async function run(context: Context): Promise<undefined> {
  const { out } = context;
  const { url } = await context.server();
  await (await context.clawdspace()).health();
  const [program = "", ...args] = OPENERS[process.platform] ?? ["xdg-open"];
  const opened = await new Promise<boolean>((resolve) => {
    const child = spawn(program, [...args, url], { stdio: "ignore", detached: true });
    child.once("error", () => resolve(false));
    child.once("spawn", () => {
      child.unref();
      resolve(true);
    });
  });
  out.result({ url, opened }, () => (opened ? `Opened ${url}` : url));
}
