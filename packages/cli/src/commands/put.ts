import { createReadStream } from "node:fs";
import { spacePlace } from "../args.js";
import type { Context } from "../context.js";
import { formatBytes } from "../output.js";

export async function run(
  context: Context,
  [text, file]: [string, string | undefined],
  { mode, append }: { mode?: string; append?: boolean },
): Promise<undefined> {
  const { signal, out } = context;
  const { name, path } = spacePlace(text);
  const { files } = await context.space(name);
  const source = file === undefined || file === "-" ? process.stdin : createReadStream(file);
  const written = await files.write(path, source, {
    ...(mode === undefined ? {} : { mode }),
    ...(append ? { append } : {}),
    signal,
  });
  out.result(
    written,
    () => `${out.paint("green", "✓")} ${name}:${path}, ${formatBytes(written.size)}`,
  );
}
