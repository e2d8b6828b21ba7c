import { describeResult } from "@clawdspace/mcp/for-models";
import { isAllowed, requireAllowed, requireUnconfined } from "../access.js";
import { defined, need } from "../parameters.js";
import { type Actions, said, told } from "./call.js";

type Name =
  | ("health" | "system" | "capabilities" | "nodes" | "audit" | "list_spaces" | "create_space")
  | ("start_space" | "stop_space" | "move_space" | "destroy_space" | "exec" | "space_stats")
  | ("space_observability" | "templates_list" | "templates_get" | "templates_put")
  | "templates_delete";

/** The daemon, its spaces and commands in them, and templates. */
export const SPACE_ACTIONS: Actions<Name> = {
  health: async ({ client }) => told(await client.health()),
  system: async ({ client }) => told(await client.system()),
  capabilities: async ({ client }) => told(await client.capabilities()),
  nodes: async ({ client }) => told(await client.nodes()),
  audit: async ({ client, given, config }) => {
    if (given.space !== undefined) requireAllowed(given.space, config);
    const { space, limit = 200 } = given;
    const { events } = await client.audit.query({ space, limit });
    return told({ events: events.filter((each) => !each.space || isAllowed(each.space, config)) });
  },

  list_spaces: async ({ client, config, stopping }) => {
    const spaces = await client.spaces.list(stopping);
    return told({ spaces: spaces.filter(({ name }) => isAllowed(name, config)) });
  },
  create_space: async ({ client, node, given, config, stopping }) => {
    const name = need(given, "name");
    requireAllowed(name, config);
    const { template, memory, cpus, gpu, image, repoUrl } = given;
    const request = { name, ...defined({ template, memory, cpus, gpu, image, repoUrl, node }) };
    const made = await client.spaces.create(request, stopping);
    return told({ space: made.info ?? (await made.get()) });
  },
  start_space: async ({ space }) => {
    await space().start();
    return said(`The space "${space().name}" runs.`);
  },
  stop_space: async ({ space }) => {
    await space().stop();
    return said(`The space "${space().name}" sleeps; its next use wakes it.`);
  },
  move_space: async ({ given, space, stopping }) => {
    const node = need(given, "to");
    const moved = await space().move(node, stopping);
    return said(
      `The space "${moved.name}" is on ${node} now, with its files; what ran in it ended.`,
    );
  },
  destroy_space: async ({ given, client, config }) => {
    // The default space is for using; what is destroyed has to be named.
    const name = need(given, "space");
    requireAllowed(name, config);
    const { removeVolume = false } = given;
    await client.space(name).remove({ removeVolume });
    return said(
      `The space "${name}" is gone${removeVolume ? " with its files" : "; its files are kept"}.`,
    );
  },
  exec: async ({ given, space, stopping, config }) => {
    const { timeoutMs, cwd } = given;
    const options = { ...stopping, ...defined({ timeoutMs, cwd }) };
    const result = await space().exec(need(given, "command"), options).wait();
    return said(describeResult(result, config.maxExecOutputChars), result);
  },
  space_stats: async ({ space }) => told({ stats: await space().stats() }),
  space_observability: async ({ space }) => told({ observability: await space().observability() }),

  templates_list: async ({ client }) => told({ templates: await client.templates.list() }),
  templates_get: async ({ client, given }) => {
    const template = await client.templates.get(need(given, "name"));
    return said(template.yaml, template);
  },
  templates_put: async ({ client, given, config }) => {
    requireUnconfined(config);
    return told({ template: await client.templates.put(need(given, "yaml")) });
  },
  templates_delete: async ({ client, given, config }) => {
    requireUnconfined(config);
    const name = need(given, "name");
    await client.templates.delete(name);
    return said(`The template "${name}" is gone.`);
  },
};
