import type { Context } from "../context.js";
import { live } from "../live.js";
import { formatBytes } from "../output.js";

export async function run(
  context: Context,
  [name]: [string],
  { stream = true }: { stream?: boolean },
): Promise<undefined> {
  const { out } = context;
  const space = await context.space(name);
  const measure = () => space.observability();
  await live(
    context,
    { stream, measure, name: "observability" },
    ({ stats, workspaceDisk, top }) => {
      const memory = `${formatBytes(stats.memoryUsageBytes)} of ${formatBytes(stats.memoryLimitBytes)}`;
      const disk = workspaceDisk ? `, disk ${workspaceDisk.usedPercent.toFixed(0)}%` : "";
      const head = `${name}: CPU ${stats.cpuPercent.toFixed(1)}%, memory ${memory}, ${stats.pids} ${stats.pids === 1 ? "process" : "processes"}${disk}`;
      const rows = (top ?? []).map(({ pid, cpu, mem, etime, command }) => [
        `${pid}`,
        cpu.toFixed(1),
        mem.toFixed(1),
        etime,
        command,
      ]);
      return `${head}\n\n${out.table(["PID", "CPU%", "MEM%", "ELAPSED", "COMMAND"], rows)}`;
    },
  );
}
