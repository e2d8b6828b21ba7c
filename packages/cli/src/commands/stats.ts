import type { Context } from "../context.js";
import { describe } from "../failure.js";
import { live } from "../live.js";
import { formatBytes } from "../output.js";

export async function run(
  context: Context,
  [names]: [string[]],
  { stream = true }: { stream?: boolean },
): Promise<undefined> {
  const { out } = context;
  const clawdspace = await context.clawdspace();
  const measure = async () => {
    const wanted =
      names.length > 0
        ? names
        : (await clawdspace.spaces.list())
            .filter(({ status }) => status === "running")
            .map(({ name }) => name);
    return await Promise.all(
      wanted.map(async (name) => {
        const space = names.length > 0 ? await context.space(name) : clawdspace.space(name);
        return await space.stats().then(
          (stats) => ({ name, stats }),
          (error: unknown) => ({ name, error: describe(error).message }),
        );
      }),
    );
  };
  await live(context, { stream, measure, name: "stats" }, (rows) =>
    out.table(
      ["NAME", "CPU", "MEMORY", "LIMIT", "PIDS", "NET IN/OUT", "DISK READ/WRITTEN"],
      rows.map((row) => {
        if (!("stats" in row)) return [row.name, row.error];
        const { stats } = row;
        return [
          row.name,
          `${stats.cpuPercent.toFixed(1)}%`,
          formatBytes(stats.memoryUsageBytes),
          formatBytes(stats.memoryLimitBytes),
          `${stats.pids}`,
          `${formatBytes(stats.networkRxBytes)} / ${formatBytes(stats.networkTxBytes)}`,
          `${formatBytes(stats.blockReadBytes)} / ${formatBytes(stats.blockWriteBytes)}`,
        ];
      }),
    ),
  );
}
