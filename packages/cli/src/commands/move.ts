import type { Context } from "../context.js";
import { formatBytes } from "../output.js";

export async function run(context: Context, [name, node]: [string, string]): Promise<undefined> {
  const { out, signal } = context;
  const space = await context.space(name);
  const moved = await space.move(node, {
    signal,
    onProgress: ({ message, current }) => {
      out.progress(`… ${message}${current === undefined ? "" : `: ${formatBytes(current)}`}`);
    },
  });
  out.progress("");
  out.result({ space: moved.info }, () => `${out.paint("green", "✓")} ${name} is on ${node}`);
}
