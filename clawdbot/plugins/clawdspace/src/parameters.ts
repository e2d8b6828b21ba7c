import * as z from "zod";
import { ToolInputError } from "./input-error.js";

const ACTIONS = [
  ...["health", "system", "capabilities", "nodes", "audit"],
  ...["list_spaces", "create_space", "start_space", "stop_space", "move_space", "destroy_space"],
  ...["exec", "space_stats", "space_observability"],
  ...["files_list", "files_get", "files_put", "files_edit", "files_copy", "files_move"],
  ...["files_mkdir", "files_delete", "files_find", "files_search"],
  ...["templates_list", "templates_get", "templates_put", "templates_delete"],
  ...["process_start", "process_list", "process_output", "process_write", "process_stop"],
  ...["ports_list", "port_wait", "port_link"],
  ...["git_status", "git_clone", "git_pull", "git_commit", "git_checkout", "git_push"],
] as const;
export type Action = (typeof ACTIONS)[number];

/** Flat, as the hosts want it; what each action needs is checked when it runs. */
const ParametersSchema = z.object({
  action: z.enum(ACTIONS),
  node: z
    .string()
    .optional()
    .describe('A node of the fleet, create_space: or "auto"; without it the default one'),
  space: z.string().optional().describe("The space to use; without it the default one"),
  name: z.string().optional().describe("Of the space to make, or of the template"),
  template: z.string().optional().describe("create_space: see templates_list"),
  memory: z.string().optional().describe('create_space: such as "2g"'),
  cpus: z.number().positive().optional().describe("create_space"),
  gpu: z.boolean().optional().describe("create_space: with a GPU"),
  image: z.string().optional().describe("create_space: a Docker image in place of the template's"),
  command: z.string().optional().describe("exec, process_start: runs as sh -c"),
  cwd: z.string().optional().describe("exec, process_start: default /workspace"),
  path: z.string().optional().describe('Rooted at /workspace: "/a.txt" is /workspace/a.txt'),
  to: z
    .string()
    .optional()
    .describe(
      "files_copy, files_move: the new path; move_space: the node that is to have the space",
    ),
  overwrite: z.boolean().optional().describe("files_copy, files_move: what is there already"),
  content: z
    .string()
    .optional()
    .describe("files_put: the whole text; process_write: what is typed, with its newline"),
  oldText: z.string().min(1).optional().describe("files_edit: as it stands in the file, once"),
  newText: z.string().optional().describe("files_edit: what replaces it"),
  replaceAll: z.boolean().optional().describe("files_edit: wherever oldText stands"),
  pattern: z
    .string()
    .optional()
    .describe('files_search: a regular expression; files_find: a name such as "*.ts"'),
  recursive: z
    .boolean()
    .optional()
    .describe("files_copy, files_delete: folders with their content"),
  removeVolume: z.boolean().optional().describe("destroy_space: delete its files too"),
  yaml: z.string().optional().describe("templates_put"),
  processId: z.string().optional().describe("As process_start and process_list tell it"),
  from: z.number().int().min(0).optional().describe("process_output: the first byte wanted"),
  close: z.boolean().optional().describe("process_write: ends its input"),
  signal: z.string().optional().describe('process_stop: such as "SIGKILL"; default "SIGTERM"'),
  port: z.number().int().min(1).max(65_535).optional(),
  timeoutMs: z.number().int().positive().optional().describe("exec, port_wait"),
  repoUrl: z.string().optional().describe("create_space, git_clone: https://… or user@host:path"),
  repoPath: z.string().optional().describe('git: the repository\'s folder, such as "/repo"'),
  remote: z.string().optional().describe("git_pull, git_push"),
  branch: z.string().optional().describe("git; git_checkout: or a tag or commit"),
  create: z.boolean().optional().describe("git_checkout: makes the branch"),
  rebase: z.boolean().optional().describe("git_pull: puts own commits on top"),
  message: z.string().optional().describe("git_commit: of everything that changed"),
  token: z.string().optional().describe("git: never written anywhere in the space"),
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

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields that have a value. */
export const defined = <T extends object>(fields: T) =>
  Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Defined<T>;
