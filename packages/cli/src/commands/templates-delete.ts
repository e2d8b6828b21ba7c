import type { Context } from "../context.js";

export async function run(context: Context, [name]: [string]): Promise<undefined> {
  const { out } = context;
  await (await context.clawdspace()).templates.delete(name);
  out.result({ name }, () => `${out.paint("green", "✓")} Template ${name} is gone`);
}
