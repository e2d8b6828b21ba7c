import type { Context } from "../context.js";

export async function run(context: Context): Promise<undefined> {
  const { out } = context;
  const system = await (await context.clawdspace()).system();
  out.result(system, () => {
    const { memory, disk, docker, capabilities, loadAverage } = system;
    const gpu = capabilities.gpu ? (capabilities.gpuName ?? "yes") : "none";
    const rows = [
      ["Host", `${system.hostname} (${system.platform} ${system.arch}), up ${system.uptime}`],
      ["CPUs", `${system.cpus}, load ${loadAverage.map((load) => load.toFixed(2)).join(" ")}`],
      ["Memory", `${memory.used} of ${memory.total} used (${memory.percentage})`],
      ["Disk", disk ? `${disk.used} of ${disk.total} used (${disk.percentage})` : "unknown"],
      ["GPU", gpu],
      [
        "Docker",
        `${docker.version}, ${docker.containersRunning} of ${docker.containers} containers run`,
      ],
    ];
    return rows
      .map(([label = "", value]) => `${out.paint("bold", label.padEnd(8))}${value}`)
      .join("\n");
  });
}
