import type { Space } from "@clawdspace/client";
import { quickList } from "@clawdspace/client/quick-list";
import type { Context } from "../context.js";
import { formatAge, formatBytes } from "../output.js";

const COLOUR = { running: "green", paused: "yellow", stopped: "dim" } as const;

export async function run(
  context: Context,
  _: [],
  { all, refresh }: { all?: boolean; refresh?: boolean },
): Promise<undefined> {
  const { out } = context;
  const spaces: (Space & { server?: string })[] = [];
  if (all) {
    const servers = await context.everyServer(refresh ? { refresh } : {});
    await Promise.all(
      servers.map(async (server) => {
        const client = await context.client(server);
        const found = await client.spaces.list().catch((error: Error) => {
          out.note(`${server.name}: ${error.message}`);
          return [];
        });
        spaces.push(...found.map((space) => ({ ...space, server: server.name })));
      }),
    );
  } else spaces.push(...(await quickList(await context.server())));
  spaces.sort((one, other) => one.name.localeCompare(other.name));
  out.result({ spaces }, () => {
    if (spaces.length === 0) return "There are no spaces. `clawdspace create NAME` makes one.";
    const head = ["NAME", "STATUS", "IMAGE", "MEMORY", "CPUS", "USED", ...(all ? ["SERVER"] : [])];
    const rows = spaces.map(({ name, status, image, memory, cpus, lastActivity, server }) => [
      name,
      out.paint(COLOUR[status], status),
      image,
      formatBytes(memory),
      `${cpus}`,
      `${formatAge(lastActivity)} ago`,
      ...(all ? [server ?? ""] : []),
    ]);
    return out.table(head, rows);
  });
}
