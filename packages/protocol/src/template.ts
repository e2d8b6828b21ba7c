import * as z from "zod";
import { durationSchema } from "./duration.js";
import { sizeSchema } from "./size.js";
import { EnvSchema, ImageReferenceSchema, MIN_MEMORY_BYTES } from "./space.js";

const MIB = 1024 ** 2;

export const TemplateNameSchema = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-zA-Z0-9_-]+$/, "may hold letters, digits, '-' and '_' only");

const NO_TMPFS = /^\/(workspace|proc|sys|dev|\.clawdspace)(\/|$)/;
const TmpfsPathSchema = z
  .string()
  .max(255)
  .regex(/^(\/[A-Za-z0-9._-]+)+$/, "must be an absolute path")
  .refine((path) => !/(^|\/)\.\.?(\/|$)/.test(path), "must not hold . or ..")
  .refine((path) => !NO_TMPFS.test(path), "can't be a tmpfs");

const DomainSchema = z
  .string()
  .max(253)
  .regex(
    /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/,
    'must be a name such as "github.com" or "*.npmjs.org", in lower case',
  );

const CommandLineSchema = z
  .string()
  .min(1)
  .max(64 * 1024)
  .refine((text) => !text.includes("\0"), "must not hold NUL characters");

export const NetworkModeSchema = z.enum(["none", "internet", "lan"]);
export type NetworkMode = z.infer<typeof NetworkModeSchema>;

const NetworkSchema = z
  .strictObject({
    mode: NetworkModeSchema.optional().describe(
      "none; internet: public addresses only (the default); lan: the local network too",
    ),
    blockCidrs: z
      .array(z.union([z.cidrv4(), z.cidrv6()], "must be a network such as 10.0.0.0/8"))
      .max(500)
      .optional(),
    allowCidrs: z
      .array(z.cidrv4("must be an IPv4 network such as 192.168.1.5/32"))
      .max(500)
      .optional()
      .describe("Opens parts of what is blocked; the most specific range wins"),
    allowDomains: z
      .array(DomainSchema)
      .min(1)
      .max(500)
      .optional()
      .describe("Reaches these names by HTTP and HTTPS, and nothing else"),
  })
  .superRefine(({ mode, allowCidrs, allowDomains }, context) => {
    const fault = (key: string, message: string) =>
      context.addIssue({ code: "custom", path: [key], message });
    if (mode === "none" && allowCidrs) fault("allowCidrs", "opens nothing with mode none");
    if (mode === "none" && allowDomains) fault("allowDomains", "opens nothing with mode none");
    if (mode === "lan" && allowDomains) fault("allowDomains", "goes with mode internet only");
  });

/** A template as its YAML file says it; unknown keys are refused. */
export const TemplateSchema = z
  .strictObject({
    name: TemplateNameSchema,
    description: z.string().max(1000).optional(),
    managed: z.boolean().optional().describe("Owned by the system and rewritten at start"),
    resources: z
      .strictObject({
        memory: sizeSchema(MIN_MEMORY_BYTES).optional(),
        cpus: z.number().min(0.01).max(4096).optional(),
        gpu: z.boolean().optional(),
        image: ImageReferenceSchema.optional(),
        pids: z.number().int().min(16).max(4_194_304).optional().describe("Processes and threads"),
        disk: sizeSchema(16 * MIB)
          .optional()
          .describe("Size of the workspace"),
        tmpfs: z
          .union([sizeSchema(MIB), z.record(TmpfsPathSchema, sizeSchema(MIB))])
          .optional()
          .describe("Size of /tmp, or sizes by path; they count as memory"),
      })
      .optional(),
    security: z
      .strictObject({
        writableRootfs: z.boolean().optional(),
        allowRoot: z.boolean().optional().describe("Lets exec run as root in the space"),
        runtime: z
          .string()
          .max(63)
          .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "is no valid name of a runtime")
          .optional()
          .describe("A runtime that the engine lists, such as runc or runsc"),
        seccomp: z
          .string()
          .max(128)
          .regex(
            /^(default|[A-Za-z0-9][A-Za-z0-9._-]*\.json)$/,
            'must be "default" or the name of a .json file in the config folder',
          )
          .optional(),
      })
      .optional(),
    network: NetworkSchema.optional(),
    workspace: z
      .strictObject({ defaultRepoDest: z.string().min(1).max(255).optional() })
      .optional(),
    sleep: z
      .strictObject({
        idleTimeout: z
          .union(
            [durationSchema(1000), z.literal(0), z.number().int().min(1000)],
            'must be a duration of at least 1 s, such as "90s" or "10m", or 0 for never',
          )
          .optional()
          .describe("How long a space lies unused before it sleeps; a number counts milliseconds"),
        keepAwakeWhileBusy: z
          .boolean()
          .optional()
          .describe("Processes that use the CPU keep it awake, with nobody connected too"),
      })
      .optional(),
    env: EnvSchema.optional().describe("A create's own env wins"),
    setup: z
      .union([CommandLineSchema, z.array(CommandLineSchema).max(100)])
      .optional()
      .describe("Commands run once in a new space; one that fails undoes the create"),
  })
  .meta({ id: "Template" });
export type Template = z.infer<typeof TemplateSchema>;

export const TemplateSummarySchema = z.object({
  name: z.string(),
  description: z.string(),
  managed: z.boolean().optional(),
  error: z.string().optional().describe("Says where its file is at fault"),
});
export type TemplateSummary = z.infer<typeof TemplateSummarySchema>;

export const TemplateListSchema = z.object({ templates: z.array(TemplateSummarySchema) });
export const TemplateParamsSchema = z.object({ name: TemplateNameSchema });
export const TemplateSourceSchema = z.object({ name: z.string(), yaml: z.string() });
export type TemplateSource = z.infer<typeof TemplateSourceSchema>;
export const PutTemplateRequestSchema = z.strictObject({ yaml: z.string().min(1).max(MIB) });
export const TemplateAnswerSchema = z.object({ template: TemplateSchema });
