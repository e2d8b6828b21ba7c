import type { Context } from "../context.js";
import { formatAge } from "../output.js";

export async function run(context: Context): Promise<undefined> {
  const { out } = context;
  const keys = await (await context.clawdspace()).keys.list();
  out.result({ keys }, () =>
    out.table(
      ["ID", "NAME", "ROLE", "SPACES", "MADE", "USED"],
      keys.map(({ id, name, role, spaces, createdAt, lastUsedAt }) => [
        id,
        name,
        role,
        spaces?.join(",") ?? "all",
        `${formatAge(createdAt)} ago`,
        lastUsedAt ? `${formatAge(lastUsedAt)} ago` : "never",
      ]),
    ),
  );
}
