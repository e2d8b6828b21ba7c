import { type Clawdspace, outputBytes, type SpaceHandle } from "@clawdspace/client";
import { asText, cutMiddle, describeResult, imageType } from "@clawdspace/mcp/for-models";
import { isAllowed, requireAllowed, requireUnconfined } from "./access.js";
import type { Target } from "./clients.js";
import type { PluginConfig } from "./config.js";
import { ToolInputError } from "./input-error.js";
import { type Action, need, type Parameters } from "./parameters.js";

export type Content =
  | { type: "text"; text: string }
  | { type: "image"; data: string; mimeType: string };

/** What a model reads, and the same as data. */
export interface Outcome {
  content: Content[];
  data: unknown;
}

interface Call {
  given: Parameters;
  client: Clawdspace;
  /** Where a space is to be made, unless the daemon itself makes it. */
  node: string | undefined;
  config: PluginConfig;
  signal: AbortSignal | undefined;
  /** The space that is meant; checked against the lists. */
  space(): SpaceHandle;
}

const OUTPUT_WAIT_MS = 30_000;

const said = (text: string, data: unknown = { message: text }): Outcome => ({
  content: [{ type: "text", text }],
  data,
});
const told = (data: unknown): Outcome => said(JSON.stringify(data, null, 2), data);

const ACTIONS: Record<Action, (call: Call) => Promise<Outcome>> = {
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
  list_spaces: async ({ client, config, signal }) => {
    const spaces = await client.spaces.list(signal ? { signal } : {});
    return told({ spaces: spaces.filter(({ name }) => isAllowed(name, config)) });
  },
  create_space: async ({ client, node, given, config, signal }) => {
    const name = need(given, "name");
    requireAllowed(name, config);
    const { template } = given;
    const request = {
      name,
      ...(template === undefined ? {} : { template }),
      ...(node === undefined ? {} : { node }),
    };
    const made = await client.spaces.create(request, signal ? { signal } : {});
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
  exec: async ({ given, space, signal, config }) => {
    const command = need(given, "command");
    const result = await space()
      .exec(command, {
        ...(signal ? { signal } : {}),
        ...(given.timeoutMs === undefined ? {} : { timeoutMs: given.timeoutMs }),
      })
      .wait();
    return said(describeResult(result, config.maxExecOutputChars), result);
  },
  space_stats: async ({ space }) => told({ stats: await space().stats() }),
  space_observability: async ({ space }) => told({ observability: await space().observability() }),
  files_list: async ({ given, space }) => told(await space().files.list(given.path ?? "/")),
  files_get: readFile,
  files_put: async ({ given, space, config, signal }) => {
    const content = need(given, "content");
    const bytes = Buffer.byteLength(content);
    if (bytes > config.maxFileBytes) {
      throw new ToolInputError(
        `The file has ${bytes} bytes; at most ${config.maxFileBytes} can be written. Make it by "exec" instead.`,
      );
    }
    const path = need(given, "path");
    await space().files.write(path, content, signal ? { signal } : {});
    return said(`Wrote ${bytes} bytes to ${path}.`);
  },
  files_move: async ({ given, space }) => {
    const [from, to] = [need(given, "path"), need(given, "to")];
    await space().files.move(from, to);
    return said(`Moved ${from} to ${to}.`);
  },
  files_delete: async ({ given, space }) => {
    const path = need(given, "path");
    await space().files.remove(path, { recursive: given.recursive ?? false });
    return said(`Deleted ${path}.`);
  },
  files_search: async ({ given, space }) =>
    told(await space().files.grep(need(given, "pattern"), { path: given.path ?? "/" })),
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
  process_start: async ({ given, space }) =>
    told({ process: await space().processes.start(need(given, "command")) }),
  process_list: async ({ space }) => told({ processes: await space().processes.list() }),
  process_output: async ({ given, space, config, signal }) => {
    const bytes = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    const options = { follow: false, ...(signal ? { signal } : {}) };
    for await (const event of space().processes.output(need(given, "processId"), options)) {
      if (event.type === "stdout" || event.type === "stderr") {
        bytes[event.type].push(outputBytes(event));
      }
    }
    const text = (name: keyof typeof bytes) => Buffer.concat(bytes[name]).toString("utf8");
    const output = { stdout: text("stdout"), stderr: text("stderr") };
    const part = (name: keyof typeof output) =>
      `${name}:\n${cutMiddle(output[name], config.maxExecOutputChars)}`;
    return said(`${part("stdout")}\n${part("stderr")}`, output);
  },
  ports_list: async ({ space }) => told(await space().ports.list()),
  port_wait: async ({ given, space, signal }) => {
    const options = { timeoutMs: given.timeoutMs ?? OUTPUT_WAIT_MS, ...(signal ? { signal } : {}) };
    return told(await space().ports.wait(need(given, "port"), options));
  },
  git_push: async ({ given, space, signal, config }) => {
    const { remote, branch } = given;
    const request = {
      ...{ repoPath: need(given, "repoPath"), token: need(given, "token") },
      ...(remote === undefined ? {} : { remote }),
      ...(branch === undefined ? {} : { branch }),
    };
    const result = await space().git.push(request, signal ? { signal } : {});
    return said(describeResult(result, config.maxExecOutputChars), result);
  },
};

async function readFile({ given, space, config, signal }: Call): Promise<Outcome> {
  const path = need(given, "path");
  const { size } = await space().files.stat(path);
  if (size > config.maxFileBytes) {
    throw new ToolInputError(
      `${path} has ${size} bytes; at most ${config.maxFileBytes} are shown. Read a part by "exec": head -c 4000 FILE.`,
    );
  }
  const bytes = await space().files.read(path, signal ? { signal } : {});
  const mimeType = imageType(bytes);
  if (mimeType !== undefined) {
    const data = Buffer.from(bytes).toString("base64");
    return { content: [{ type: "image", data, mimeType }], data: { path, size, mimeType } };
  }
  const text = asText(bytes);
  if (text === undefined) {
    throw new ToolInputError(
      `${path} is binary (${size} bytes). Look at it by "exec": file FILE, or xxd FILE | head.`,
    );
  }
  return said(text, { path, size, text });
}

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
  return await ACTIONS[given.action]({ given, client, node, config, signal, space });
}
