import type { Context } from "../context.js";

export async function run(context: Context, [name]: [string]): Promise<undefined> {
  const template = await (await context.clawdspace()).templates.get(name);
  context.out.result(template, () => template.yaml);
}
