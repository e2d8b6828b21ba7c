import type { Context } from "../context.js";

export async function run(
  context: Context,
  _: [],
  { refresh }: { refresh?: boolean },
): Promise<undefined> {
  const { out } = context;
  const list = await (await context.clawdspace()).nodes(refresh ? { refresh } : {});
  out.result(list, () =>
    out.table(
      ["NAME", "STATUS", "LATENCY", "GPU", "URL"],
      list.nodes.map(({ name, status, load, latencyMs, capabilities, url }) => [
        name,
        out.paint(
          status === "online" ? "green" : "red",
          load?.drained ? `${status}, drained` : status,
        ),
        typeof latencyMs === "number" ? `${Math.round(latencyMs)} ms` : "",
        capabilities?.gpu ? (capabilities.gpuName ?? "yes") : "",
        url,
      ]),
    ),
  );
}
