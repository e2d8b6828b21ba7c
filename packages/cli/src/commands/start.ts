import type { Context } from "../context.js";
import { each } from "../each.js";

export async function run(context: Context, [names]: [string[]]): Promise<number> {
  return await each(context, names, "awake", (space) => space.start());
}
