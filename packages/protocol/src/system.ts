import * as z from "zod";

export const HealthSchema = z.object({
  status: z.literal("ok").describe("The daemon serves"),
  version: z.string(),
  engine: z
    .enum(["ok", "unreachable"])
    .optional()
    .describe("Whether the container engine answers, without which most requests are 503"),
});

const gpu = {
  gpu: z.boolean(),
  gpuName: z.string().optional(),
  gpuMemory: z.string().optional(),
  arch: z.string(),
  platform: z.string(),
};

export const CapabilitiesSchema = z
  .object({ ...gpu, cpus: z.number(), memory: z.number().describe("Bytes") })
  .meta({ id: "Capabilities" });
export type Capabilities = z.infer<typeof CapabilitiesSchema>;

const amount = z.string().describe('Such as "12.3 GB"');

export const SystemSchema = z
  .object({
    hostname: z.string(),
    platform: z.string(),
    arch: z.string(),
    cpus: z.number(),
    loadAverage: z.tuple([z.number(), z.number(), z.number()]),
    memory: z.object({ total: amount, free: amount, used: amount, percentage: z.string() }),
    disk: z
      .object({ total: amount, used: amount, available: amount, percentage: z.string() })
      .nullable(),
    uptime: z.string(),
    docker: z.object({
      version: z.string(),
      containers: z.number(),
      containersRunning: z.number(),
      containersPaused: z.number(),
      images: z.number(),
    }),
    capabilities: z.object(gpu),
  })
  .meta({ id: "System" });
export type System = z.infer<typeof SystemSchema>;
