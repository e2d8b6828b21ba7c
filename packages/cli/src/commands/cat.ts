import { spacePlace } from "../args.js";
import type { Context } from "../context.js";
import { write } from "../output.js";

export async function run(context: Context, [places]: [string[]]): Promise<undefined> {
  const { signal, out } = context;
  for (const { name, path } of places.map(spacePlace)) {
    const { files } = await context.space(name);
    if (out.isJson) {
      const content = Buffer.from(await files.read(path, { signal }));
      out.line({ path, contentBase64: content.toString("base64") }, () => "");
      continue;
    }
    const { pieces } = await files.stream(path, { signal });
    for await (const piece of pieces) await write(process.stdout, piece);
  }
}
