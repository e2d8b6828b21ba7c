import type { Context } from "../context.js";

export async function run(context: Context, [node]: [string]): Promise<undefined> {
  const { out } = context;
  const message = await (await context.clawdspace()).drain(node, "drain");
  out.result({ message }, () => `${out.paint("green", "✓")} ${message}`);
}
