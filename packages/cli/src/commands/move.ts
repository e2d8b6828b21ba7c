import type { Context } from "../context.js";
import { usageError } from "../failure.js";
import { formatBytes } from "../output.js";

export async function run(
  context: Context,
  [name, node]: [string, string | undefined],
  { abandon }: { abandon?: boolean },
): Promise<undefined> {
  const { out, signal } = context;
  if ((node === undefined) !== (abandon === true)) {
    throw usageError("Say either to which node the space is to move, or --abandon.");
  }
  const space = await context.space(name);
  if (node === undefined) {
    await space.abandonMove();
    out.result({}, () => `${out.paint("green", "✓")} ${name} is used where it was again`);
    return;
  }
  const moved = await space.move(node, {
    signal,
    onProgress: ({ message, current }) => {
      out.progress(`… ${message}${current === undefined ? "" : `: ${formatBytes(current)}`}`);
    },
  });
  out.progress("");
  out.result({ space: moved.info }, () => `${out.paint("green", "✓")} ${name} is on ${node}`);
}
