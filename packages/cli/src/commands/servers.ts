import type { Context } from "../context.js";
import { describe } from "../failure.js";

export async function run(
  context: Context,
  _: [],
  { refresh }: { refresh?: boolean },
): Promise<undefined> {
  const { out } = context;
  const known = await context.everyServer(refresh ? { refresh } : {});
  const servers = await Promise.all(
    known.map(async (server) => {
      const { name, url } = server;
      const started = performance.now();
      try {
        const { version } = await (await context.client(server)).health();
        const latencyMs = Math.round(performance.now() - started);
        return { name, url, status: "online" as const, version, latencyMs };
      } catch (error) {
        return { name, url, status: "offline" as const, error: describe(error).message };
      }
    }),
  );
  out.result({ servers }, () =>
    out.table(
      ["NAME", "STATUS", "VERSION", "LATENCY", "URL"],
      servers.map((server) =>
        server.status === "online"
          ? [
              server.name,
              out.paint("green", "online"),
              server.version,
              `${server.latencyMs} ms`,
              server.url,
            ]
          : [server.name, out.paint("red", "offline"), "", "", server.url],
      ),
    ),
  );
}
