import { Clawdspace } from "@clawdspace/client";
import type { PluginConfig } from "./config.js";
import { ToolInputError } from "./input-error.js";
import type { Parameters } from "./parameters.js";

/** What is asked of a daemon itself, and not of a space that it could pass on. */
const OF_THE_DAEMON = new Set<Parameters["action"]>([
  ...(["health", "system", "capabilities", "nodes", "audit", "list_spaces"] as const),
  ...(["templates_list", "templates_get", "templates_put", "templates_delete"] as const),
]);

export interface Target {
  client: Clawdspace;
  /** The node that is named, where the daemon is to pass the request on to it. */
  node: string | undefined;
}

/**
 * The daemon to ask: that of the configured map, by its own address; another node by way of the one daemon that has the
 * key, which proves that node first. Throws `ToolInputError` for what is not passed on.
 */
export function targetOf(config: PluginConfig, { node, action }: Parameters): Target {
  const name = node ?? config.defaultNode;
  const { apiKey: key, timeoutMs, nodeMap } = config;
  const mapped = name !== undefined && Object.hasOwn(nodeMap, name) ? nodeMap[name] : undefined;
  if (name === undefined || mapped !== undefined) {
    const baseUrl = mapped ?? config.baseUrl;
    return { client: new Clawdspace({ baseUrl, key, timeoutMs }), node: undefined };
  }
  if (OF_THE_DAEMON.has(action)) {
    throw new ToolInputError(
      `"${action}" asks a daemon itself, and the address of node "${name}" is not in the plugin's nodeMap. Leave node out, or ask a person to add it there.`,
    );
  }
  // Which node the best one is, the daemon finds out.
  const asked = name === "auto" ? {} : { node: name };
  return {
    client: new Clawdspace({ baseUrl: config.baseUrl, key, timeoutMs, ...asked }),
    node: name,
  };
}
