import type { Context } from "../context.js";
import { describe } from "../failure.js";
import { VERSION } from "../version.js";

export async function run(context: Context): Promise<undefined> {
  const { url } = await context.server();
  const server = await (await context.clawdspace()).health().then(
    ({ version }) => ({ url, version }),
    (error: unknown) => ({ url, error: describe(error).message }),
  );
  context.out.result({ version: VERSION, node: process.versions.node, server }, () => {
    const other = "version" in server ? `${server.version} at ${url}` : `none answers at ${url}`;
    return `clawdspace ${VERSION} (Node.js ${process.versions.node})\nserver: ${other}`;
  });
}
