import * as z from "zod";
import { ToolInputError } from "./input-error.js";

export const ACTIONS = [
  ...["health", "system", "capabilities", "nodes", "audit"],
  ...["list_spaces", "create_space", "start_space", "stop_space", "destroy_space"],
  ...["exec", "space_stats", "space_observability"],
  ...["files_list", "files_get", "files_put", "files_move", "files_delete", "files_search"],
  ...["templates_list", "templates_get", "templates_put", "templates_delete"],
  ...["process_start", "process_list", "process_output", "ports_list", "port_wait", "git_push"],
] as const;
export type Action = (typeof ACTIONS)[number];

/** Flat, as the hosts want it; what each action needs is checked when it runs. */
const ParametersSchema = z.object({
  action: z.enum(ACTIONS),
  node: z.string().optional().describe("A node of the fleet; without it the default one"),
  space: z.string().optional().describe("The space to use; without it the default one"),
  name: z.string().optional().describe("Of the space to make, or of the template"),
  template: z.string().optional().describe("create_space: see templates_list"),
  command: z.string().optional().describe("exec, process_start: runs as sh -c in /workspace"),
  path: z.string().optional().describe('Rooted at /workspace: "/a.txt" is /workspace/a.txt'),
  to: z.string().optional().describe("files_move: the new path"),
  content: z.string().optional().describe("files_put: the whole text"),
  pattern: z.string().optional().describe("files_search: a regular expression"),
  recursive: z.boolean().optional().describe("files_delete: folders with what is in them"),
  removeVolume: z.boolean().optional().describe("destroy_space: delete its files too"),
  yaml: z.string().optional().describe("templates_put"),
  processId: z.string().optional(),
  port: z.number().int().min(1).max(65_535).optional(),
  timeoutMs: z.number().int().positive().optional().describe("exec, port_wait"),
  repoPath: z.string().optional().describe('git_push: such as "/repo"'),
  remote: z.string().optional(),
  branch: z.string().optional(),
  token: z.string().optional().describe("git_push: never written anywhere in the space"),
  limit: z.number().int().min(1).max(1000).optional().describe("audit"),
});
export type Parameters = z.infer<typeof ParametersSchema>;

export const parametersJsonSchema = (): Record<string, unknown> => {
  const { $schema: _, ...schema } = z.toJSONSchema(ParametersSchema);
  return schema;
};

/** Hosts don't check what a model sends. Throws `ToolInputError`. */
export function readParameters(given: unknown): Parameters {
  const parsed = ParametersSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new ToolInputError(`These parameters don't fit. ${issues.join("; ")}`);
}

/** A parameter that the action can't do without. */
export function need<K extends keyof Parameters>(
  given: Parameters,
  key: K,
): NonNullable<Parameters[K]> {
  const value = given[key];
  if (value === undefined || value === null) {
    throw new ToolInputError(
      `The action "${given.action}" needs "${key}". Call it again with that.`,
    );
  }
  return value;
}
