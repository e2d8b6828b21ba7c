import { ClawdspaceError } from "@clawdspace/client";
import type { Outcome } from "./actions/call.js";
import { runAction } from "./actions.js";
import { addCli, CLI_DESCRIPTION } from "./cli.js";
import { targetOf } from "./clients.js";
import { readConfig } from "./config.js";
import type { Host } from "./host.js";
import { ToolInputError } from "./input-error.js";
import { type Action, parametersJsonSchema, readParameters } from "./parameters.js";
import { registerSandboxes } from "./sandbox/register.js";

/** The gateway's names of the actions; the rest is reached by the tool. */
const METHODS: Record<string, Action> = {
  ...{ health: "health", system: "system", capabilities: "capabilities", nodes: "nodes" },
  ...{ "templates.list": "templates_list", "templates.get": "templates_get" },
  ...{ "templates.put": "templates_put", "templates.delete": "templates_delete" },
  ...{ "spaces.list": "list_spaces", "spaces.create": "create_space" },
  ...{ "spaces.start": "start_space", "spaces.stop": "stop_space" },
  ...{ "spaces.destroy": "destroy_space", "spaces.stats": "space_stats" },
  ...{ "spaces.observability": "space_observability", "spaces.exec": "exec" },
  ...{ "spaces.files.list": "files_list", "spaces.files.get": "files_get" },
  ...{ "spaces.files.put": "files_put", "audit.get": "audit" },
};

export default {
  id: "clawdspace",
  name: "Clawdspace",
  description: "Isolated spaces for agents, on machines you own",
  register(host: Host): void {
    const settings = () => {
      const config = readConfig(host.pluginConfig);
      if (!config.enabled) throw new ToolInputError("The clawdspace plugin is switched off.");
      return config;
    };
    const run = async (params: unknown, signal?: AbortSignal): Promise<Outcome> => {
      const config = settings();
      const given = readParameters(params);
      return await runAction(given, targetOf(config, given), config, signal).catch(explain);
    };
    host.registerTool({
      name: "clawdspace",
      label: "Clawdspace",
      description:
        "Runs commands, background processes and servers, and keeps files, in isolated Linux spaces with a persistent /workspace.",
      parameters: parametersJsonSchema(),
      execute: async (_id: string, params: unknown, signal?: AbortSignal) => {
        const { content, data } = await run(params, signal);
        // Hosts grade a run by keys of their own in here, such as "status": the answer stays below one key.
        return { content, details: { clawdspace: data } };
      },
    });
    host.registerCli(({ program }) => addCli(program, run), {
      commands: ["clawdspace"],
      descriptors: [{ name: "clawdspace", description: CLI_DESCRIPTION, hasSubcommands: true }],
    });
    registerSandboxes(host, settings);
    for (const [name, action] of Object.entries(METHODS)) {
      host.registerGatewayMethod(`clawdspace.${name}`, async ({ params, respond }) => {
        try {
          respond(true, (await run({ ...(params as object), action })).data);
        } catch (error) {
          const code = error instanceof ToolInputError ? "INVALID_REQUEST" : "UNAVAILABLE";
          respond(false, undefined, {
            code,
            message: error instanceof Error ? error.message : String(error),
          });
        }
      });
    }
  },
};

/** OpenClaw shows only errors of this name to the model. */
function explain(error: unknown): never {
  if (!(error instanceof ClawdspaceError)) throw error;
  const issues = (error.issues ?? []).map(({ path, message }) => `- ${path}: ${message}`);
  throw new ToolInputError([`${error.message} (${error.code})`, ...issues].join("\n"));
}
