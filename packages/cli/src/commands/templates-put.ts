import { readFile } from "node:fs/promises";
import type { Context } from "../context.js";
import { allInput } from "../stdin.js";

export async function run(context: Context, [file]: [string | undefined]): Promise<undefined> {
  const { out } = context;
  const input = file === undefined || file === "-" ? await allInput() : await readFile(file);
  const template = await (await context.clawdspace()).templates.put(input.toString("utf8"));
  out.result({ template }, () => `${out.paint("green", "✓")} Template ${template.name} is kept`);
}
