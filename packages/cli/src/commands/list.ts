import type { Space } from "@clawdspace/client";
import { quickList } from "@clawdspace/client/quick-list";
import type { Context } from "../context.js";
import { formatAge, formatBytes } from "../output.js";

const COLOUR = { running: "green", paused: "yellow", stopped: "dim" } as const;

export async function run(
  context: Context,
  _: [],
  { all, node, refresh }: { all?: boolean; node?: string; refresh?: boolean },
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
  } else if (node !== undefined) spaces.push(...(await ofNode(context, node)));
  else spaces.push(...(await quickList(await context.server())));
  spaces.sort((one, other) => one.name.localeCompare(other.name));
  out.result({ spaces }, () => {
    if (spaces.length === 0) return "There are no spaces. `clawdspace create NAME` makes one.";
    const head = [
      "NAME",
      "STATUS",
      "IMAGE",
      "MEMORY",
      "CPUS",
      "USED",
      ...(all ? ["SERVER"] : node ? ["NODE"] : []),
    ];
    const rows = spaces.map(
      ({ name, status, image, memory, cpus, lastActivity, server, node: on }) => [
        name,
        out.paint(COLOUR[status], status),
        image,
        formatBytes(memory),
        `${cpus}`,
        `${formatAge(lastActivity)} ago`,
        ...(all ? [server ?? ""] : node ? [on ?? node] : []),
      ],
    );
    return out.table(head, rows);
  });
}

/** The spaces of a node, or of "all"; says which nodes gave no answer. */
async function ofNode(context: Context, node: string): Promise<Space[]> {
  if (node !== "all") {
    const { Clawdspace } = await import("@clawdspace/client");
    const { url: baseUrl, key } = await context.server();
    return await new Clawdspace({ baseUrl, key, node }).spaces.list();
  }
  const { spaces, errors = [] } = await (await context.clawdspace()).spaces.listAll();
  for (const { node: missing, error } of errors) context.out.note(`${missing}: ${error}`);
  return spaces;
}
