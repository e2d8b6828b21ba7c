import { requireAllowed } from "./access.js";
import type { Outcome } from "./actions/call.js";
import { FILE_ACTIONS } from "./actions/files.js";
import { GIT_ACTIONS } from "./actions/git.js";
import { PROCESS_ACTIONS } from "./actions/processes.js";
import { SPACE_ACTIONS } from "./actions/spaces.js";
import type { Target } from "./clients.js";
import type { PluginConfig } from "./config.js";
import { ToolInputError } from "./input-error.js";
import type { Parameters } from "./parameters.js";

const ACTIONS = { ...SPACE_ACTIONS, ...FILE_ACTIONS, ...PROCESS_ACTIONS, ...GIT_ACTIONS };

/** Runs an action. Throws `ToolInputError` for what the caller can mend, `ClawdspaceError` for what the daemon refuses. */
export async function runAction(
  given: Parameters,
  { client, node }: Target,
  config: PluginConfig,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const space = () => {
    const name = given.space ?? config.defaultSpace;
    if (name === undefined) {
      throw new ToolInputError(`The action "${given.action}" needs "space". See list_spaces.`);
    }
    requireAllowed(name, config);
    return client.space(name);
  };
  const stopping = signal ? { signal } : {};
  return await ACTIONS[given.action]({ given, client, node, config, stopping, space });
}
