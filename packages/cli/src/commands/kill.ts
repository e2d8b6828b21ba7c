import type { Context } from "../context.js";
import { findProcess } from "../find-process.js";

export async function run(
  context: Context,
  [name, wanted]: [string, string],
  { signal = "TERM", all }: { signal?: string; all?: boolean },
): Promise<undefined> {
  const space = await context.space(name);
  const { id } = await findProcess(space, wanted);
  await space.processes.signal(id, signal, all ? "all" : "group");
  context.out.result({ id, signal }, () => undefined);
}
