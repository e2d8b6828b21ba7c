import type { Context } from "../context.js";

export async function run(context: Context): Promise<undefined> {
  const { out } = context;
  const templates = await (await context.clawdspace()).templates.list();
  out.result({ templates }, () =>
    out.table(
      ["NAME", "DESCRIPTION"],
      templates.map(({ name, description, error }) => [
        name,
        error === undefined ? description : out.paint("red", error),
      ]),
    ),
  );
}
