import { candidates, FILES } from "../candidates.js";
import type { Context } from "../context.js";

/** Answers a shell: one candidate a line, or ":files". Whatever fails offers nothing. */
export async function run(context: Context, [words]: [string[]]): Promise<undefined> {
  const found = await candidates(words.join(" "), context).catch(() => []);
  if (found === FILES) process.stdout.write(":files\n");
  else for (const each of found) process.stdout.write(`${each}\n`);
}
