import type { Key } from "@clawdspace/client";
import type { Context } from "../context.js";

export async function run(
  context: Context,
  [name]: [string],
  { role = "agent", space }: { role?: Key["role"]; space?: string[] },
): Promise<undefined> {
  const { out } = context;
  const { keys } = await context.clawdspace();
  const made = await keys.create({ name, role, ...(space ? { spaces: space } : {}) });
  out.result(made, () => {
    out.note(`The key "${name}" (${role}). It is shown this once:`);
    return made.secret;
  });
}
