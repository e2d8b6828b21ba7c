import { setFlagsFromString } from "node:v8";
import { toPlace } from "../args.js";
import type { Context } from "../context.js";
import { download } from "../copy/download.js";
import { Progress } from "../copy/progress.js";
import { upload } from "../copy/upload.js";
import { usageError } from "../failure.js";
import { formatBytes } from "../output.js";

const FLAGS = ["--semi-space-growth-factor=1", "--heap-growing-percent=50"];

export async function run(
  context: Context,
  [from, to]: [string, string],
  { resume, quiet }: { resume?: boolean; quiet?: boolean },
): Promise<undefined> {
  const { out } = context;
  const [source, target] = [toPlace(from), toPlace(to)];
  if ((source === undefined) === (target === undefined)) {
    throw usageError(
      "One of the two must be in a space, and the other here.",
      "Write NAME:PATH for the one in the space, and ./a:b for a local name with a colon.",
    );
  }
  // What goes through is garbage at once: V8 would let it grow before it looks.
  for (const flag of FLAGS) setFlagsFromString(flag);
  const progress = new Progress(out, quiet !== true);
  const options = { resume: resume === true, progress, signal: context.signal };
  try {
    const copied = target
      ? await upload((await context.space(target.name)).files, from, target.path, options)
      : await download(
          (await context.space(source?.name ?? "")).files,
          source?.path ?? "",
          to,
          options,
        );
    progress.end();
    if (to === "-") return;
    const { entries, skipped, leftOut } = copied;
    const bytes = progress.bytes;
    out.result({ from, to, bytes, entries, skipped, leftOut }, () => {
      const more = skipped > 0 ? `, ${skipped} were there already` : "";
      const lost = leftOut ? out.paint("yellow", `, ${leftOut} could not be read`) : "";
      return `${out.paint("green", "✓")} ${from} → ${to}: ${formatBytes(bytes)}${more}${lost}`;
    });
  } finally {
    progress.end();
  }
}
