import type { Clawdspace, Space } from "@clawdspace/client";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { answer, data, toAnswer } from "../answer.js";
import { defined } from "../defined.js";
import { progressOf } from "../progress.js";
import { doneShape, env, space, spaceShape } from "../schemas.js";

const gpu = z.union([
  z.boolean(),
  z.strictObject({
    count: z.number().int().min(1).optional(),
    ids: z.array(z.string()).min(1).optional().describe("As list_nodes tells them"),
    kind: z.enum(["nvidia", "amd"]).optional(),
    shared: z.boolean().optional().describe("With other spaces that say so too"),
  }),
]);

/** Tools that make, find, wake, pause and remove spaces, and tell of the templates they are made from. */
export function addSpaceTools(server: McpServer, clawdspace: Clawdspace): void {
  server.registerTool(
    "list_spaces",
    {
      title: "List spaces",
      description: "Lists the spaces that this key may see, with their state.",
      inputSchema: {},
      outputSchema: { spaces: z.array(z.object(spaceShape)) },
      annotations: { readOnlyHint: true },
    },
    () => toAnswer(async () => data({ spaces: (await clawdspace.spaces.list()).map(toShape) })),
  );

  server.registerTool(
    "create_space",
    {
      title: "Create space",
      description:
        "Makes a new space: an isolated container with a persistent /workspace. A template decides image, limits and network; what is given here wins over it.",
      inputSchema: {
        name: z.string().describe("Letters, digits, '-' and '_'"),
        template: z.string().optional().describe("See list_templates"),
        image: z.string().optional(),
        memory: z.string().optional().describe('Such as "2g" or "512m"'),
        cpus: z.number().optional(),
        gpu: gpu.optional().describe("true is one of any kind"),
        node: z
          .string()
          .optional()
          .describe('A node of the fleet, or "auto" for the best one; see list_nodes'),
        env: env.describe("Given to every process of the space"),
        repoUrl: z.string().optional().describe("A git repository to clone into /workspace/repo"),
        repoBranch: z.string().optional(),
        description: z.string().optional(),
      },
      outputSchema: spaceShape,
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false },
    },
    (request, extra) =>
      toAnswer(async () => {
        const progress = progressOf(extra);
        const made = await clawdspace.spaces.create(request, {
          signal: extra.signal,
          onProgress: ({ message }) => progress(message),
        });
        const shape = toShape(made.info ?? (await made.get()));
        return answer(`Space "${shape.name}" is ${shape.status}.`, shape);
      }),
  );

  server.registerTool(
    "get_space",
    {
      title: "Describe space",
      description: "Tells a space's state, limits and what it uses now. It does not wake it.",
      inputSchema: { space },
      outputSchema: spaceShape,
      annotations: { readOnlyHint: true },
    },
    ({ space: name }) => toAnswer(async () => data(toShape(await clawdspace.spaces.get(name)))),
  );

  const change = (
    tool: "start_space" | "pause_space",
    title: string,
    description: string,
    run: (name: string) => Promise<void>,
    done: string,
  ) =>
    server.registerTool(
      tool,
      {
        title,
        description,
        inputSchema: { space },
        outputSchema: doneShape,
        annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true },
      },
      ({ space: name }) =>
        toAnswer(async () => {
          await run(name);
          const message = `Space "${name}" ${done}.`;
          return answer(message, { message });
        }),
    );
  change(
    "start_space",
    "Start space",
    "Wakes a paused or stopped space. Using a space wakes it too.",
    (name) => clawdspace.spaces.start(name),
    "is running",
  );
  change(
    "pause_space",
    "Pause space",
    "Freezes a space with everything that runs in it; the next use wakes it.",
    (name) => clawdspace.spaces.stop(name),
    "is paused",
  );

  server.registerTool(
    "remove_space",
    {
      title: "Remove space",
      description:
        "Ends and removes a space. Its /workspace is kept for the next space of this name unless removeVolume is true.",
      inputSchema: { space, removeVolume: z.boolean().optional() },
      outputSchema: doneShape,
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true },
    },
    ({ space: name, removeVolume = false }) =>
      toAnswer(async () => {
        await clawdspace.spaces.remove(name, { removeVolume });
        const message = `Space "${name}" is removed${removeVolume ? " with its files" : "; its files are kept"}.`;
        return answer(message, { message });
      }),
  );

  server.registerTool(
    "list_templates",
    {
      title: "List templates",
      description: "Lists the templates that spaces can be made from.",
      inputSchema: {},
      outputSchema: {
        templates: z.array(z.object({ name: z.string(), description: z.string() })),
      },
      annotations: { readOnlyHint: true },
    },
    () =>
      toAnswer(async () => {
        const templates = await clawdspace.templates.list();
        return data({
          templates: templates.map(({ name, description }) => ({ name, description })),
        });
      }),
  );

  server.registerTool(
    "get_template",
    {
      title: "Read template",
      description: "Gives a template's YAML.",
      inputSchema: { name: z.string() },
      outputSchema: { name: z.string(), yaml: z.string() },
      annotations: { readOnlyHint: true },
    },
    ({ name }) =>
      toAnswer(async () => {
        const template = await clawdspace.templates.get(name);
        return answer(template.yaml, { ...template });
      }),
  );
}

/** The machines of the fleet. */
export function addNodeTools(server: McpServer, clawdspace: Clawdspace): void {
  server.registerTool(
    "list_nodes",
    {
      title: "List nodes",
      description: "Lists the machines that spaces can be made on, with their load and GPUs.",
      inputSchema: {},
      outputSchema: {
        nodes: z.array(z.looseObject({ name: z.string(), status: z.string() })),
      },
      annotations: { readOnlyHint: true },
    },
    () => toAnswer(async () => data({ nodes: (await clawdspace.nodes()).nodes })),
  );

  server.registerTool(
    "move_space",
    {
      title: "Move space",
      description:
        "Moves a space to another node, with its files. What runs in it ends. Where it fails, the space is where it was.",
      inputSchema: { space, node: z.string().describe("See list_nodes") },
      outputSchema: doneShape,
      annotations: { readOnlyHint: false, destructiveHint: true },
    },
    ({ space: name, node }, extra) =>
      toAnswer(async () => {
        const progress = progressOf(extra);
        await clawdspace.space(name).move(node, {
          signal: extra.signal,
          onProgress: ({ message }) => progress(message),
        });
        const message = `Space "${name}" is on ${node} now.`;
        return answer(message, { message });
      }),
  );
}

function toShape(space: Space) {
  const { name, status, image, memory, cpus, template, description, lastActivity } = space;
  return {
    ...{ name, status, image, memoryBytes: memory, cpus, lastActivity },
    ...defined({ template, description }),
  };
}
