import { confirm } from "../confirm.js";
import type { Context } from "../context.js";
import { each } from "../each.js";

export async function run(
  context: Context,
  [names]: [string[]],
  { force, keepVolume }: { force?: boolean; keepVolume?: boolean },
): Promise<number> {
  const what = keepVolume ? "" : " with everything in /workspace";
  if (!force) await confirm(`Remove ${names.join(", ")}${what}?`);
  return await each(context, names, "gone", (space) => space.remove({ removeVolume: !keepVolume }));
}
