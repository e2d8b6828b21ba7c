import { z } from "zod";
import { sizeSchema } from "./size.js";
import { MIN_MEMORY_BYTES } from "./space.js";

export const TemplateNameSchema = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-zA-Z0-9_-]+$/, "may hold letters, digits, '-' and '_' only");

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
        image: z.string().min(1).max(512).optional(),
      })
      .optional(),
    security: z
      .strictObject({
        writableRootfs: z.boolean().optional(),
        allowRoot: z.boolean().optional().describe("Lets exec run as root in the space"),
      })
      .optional(),
    network: z
      .strictObject({
        mode: z.enum(["none", "internet", "lan"]).optional(),
        blockCidrs: z.array(z.union([z.cidrv4(), z.cidrv6()])).optional(),
      })
      .optional(),
    workspace: z
      .strictObject({ defaultRepoDest: z.string().min(1).max(255).optional() })
      .optional(),
  })
  .meta({ id: "Template" });
export type Template = z.infer<typeof TemplateSchema>;
