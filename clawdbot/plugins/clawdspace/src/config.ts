import * as z from "zod";

const SpaceNames = z.array(z.string()).default([]);

/** Of the spaces that serve as sandboxes. */
const SandboxSchema = z.object({
  template: z.string().optional(),
  node: z.string().optional(),
  memory: z.string().optional(),
  cpus: z.number().positive().optional(),
  namePrefix: z
    .string()
    .regex(/^[a-zA-Z0-9_-]{1,14}$/, "may hold up to 14 letters, digits, '-' and '_'")
    .default("agent"),
  seed: z.boolean().default(true),
});

const ConfigSchema = z.object({
  enabled: z.boolean().default(true),
  baseUrl: z.string().default("http://localhost:7777"),
  apiKey: z.string().optional(),
  timeoutMs: z.number().int().positive().default(30_000),
  defaultSpace: z.string().optional(),
  defaultNode: z.string().optional(),
  nodeMap: z.record(z.string(), z.string()).default({}),
  allowSpaces: SpaceNames,
  denySpaces: SpaceNames,
  maxFileBytes: z.number().int().positive().default(2_000_000),
  maxExecOutputChars: z.number().int().positive().default(50_000),
  sandbox: SandboxSchema.default(SandboxSchema.parse({})),
});

export type PluginConfig = z.infer<typeof ConfigSchema>;

/** What the host hands over, `undefined` where nothing is set. Throws an `Error` that names the settings at fault. */
export function readConfig(given: unknown): PluginConfig {
  const parsed = ConfigSchema.safeParse(given ?? {});
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`The clawdspace plugin's configuration is not valid. ${issues.join("; ")}`);
}
