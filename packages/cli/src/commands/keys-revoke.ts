import type { Context } from "../context.js";
import { CliError } from "../failure.js";

export async function run(context: Context, [wanted]: [string]): Promise<undefined> {
  const { out } = context;
  const { keys } = await context.clawdspace();
  const all = await keys.list();
  const key = all.find(({ id }) => id === wanted) ?? all.find(({ name }) => name === wanted);
  if (!key)
    throw new CliError(`There is no key "${wanted}".`, {
      hint: "`clawdspace keys list` lists them.",
    });
  await keys.revoke(key.id);
  out.result({ key }, () => `${out.paint("green", "✓")} Key ${key.name} (${key.id}) is revoked`);
}
