import type { SpaceHandle } from "@clawdspace/client";
import type { Context } from "./context.js";
import { describe, EXIT } from "./failure.js";

/** Does the same with several spaces, and goes on where one fails. @param state what each one is afterwards */
export async function each(
  context: Context,
  names: string[],
  state: string,
  task: (space: SpaceHandle) => Promise<void>,
): Promise<number> {
  const { out } = context;
  const outcomes = await Promise.all(
    names.map(async (name) => {
      try {
        await task(await context.space(name));
        return { name, state };
      } catch (error) {
        return { name, error: describe(error).message };
      }
    }),
  );
  for (const { name, error } of outcomes) {
    if (error !== undefined) process.stderr.write(`clawdspace: ${name}: ${error}\n`);
  }
  out.result({ spaces: outcomes }, () =>
    outcomes
      .filter((outcome) => outcome.error === undefined)
      .map(({ name }) => `${out.paint("green", "✓")} ${name} is ${state}`)
      .join("\n"),
  );
  return outcomes.some(({ error }) => error !== undefined) ? EXIT.failure : EXIT.ok;
}
