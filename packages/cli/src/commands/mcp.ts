import { serveStdio } from "@clawdspace/mcp";
import type { Context } from "../context.js";
import { VERSION } from "../version.js";

export async function run(context: Context): Promise<undefined> {
  await serveStdio(await context.clawdspace(), VERSION);
}
