import * as z from "zod";
import { SpaceParamsSchema } from "./space.js";

/** A TCP port as it stands in a path. */
const PortInPathSchema = z
  .string()
  .regex(/^[1-9]\d{0,4}$/, "must be a port from 1 to 65535")
  .transform(Number)
  .refine((port) => port <= 65535, "must be a port from 1 to 65535");

export const PortParamsSchema = SpaceParamsSchema.extend({ port: PortInPathSchema });

export const PortSchema = z
  .object({
    port: z.number().int(),
    address: z.string().describe('What it is bound to, such as "127.0.0.1", "0.0.0.0" or "::"'),
    pid: z.number().int().optional().describe("Inside the space, where it can be told"),
    command: z.string().optional(),
    processId: z.string().optional().describe("Of the process of ours that it belongs to"),
  })
  .meta({ id: "Port" });
export type Port = z.infer<typeof PortSchema>;

export const PortListSchema = z
  .object({
    ports: z.array(PortSchema),
    asleep: z
      .boolean()
      .optional()
      .describe("The space sleeps, so that these are the ports as they were last seen"),
  })
  .meta({ id: "PortList" });
export type PortList = z.infer<typeof PortListSchema>;

export const DEFAULT_PORT_WAIT_MS = 30_000;

export const WaitForPortRequestSchema = z
  .strictObject({
    timeoutMs: z.number().int().min(0).max(600_000).optional().describe("Default 30,000"),
  })
  .meta({ id: "WaitForPortRequest" });

export const PortReadySchema = z
  .object({ port: z.number().int(), waitedMs: z.number().int() })
  .meta({ id: "PortReady" });
export type PortReady = z.infer<typeof PortReadySchema>;

export const DEFAULT_LINK_SECONDS = 3600;

export const PreviewLinkRequestSchema = z
  .strictObject({
    expiresInSeconds: z
      .number()
      .int()
      .min(1)
      .max(30 * 24 * 3600)
      .optional()
      .describe("Default 3,600, at most 30 days"),
    via: z
      .enum(["host", "path"])
      .optional()
      .describe(
        '"host": an origin of its own below CLAWDSPACE_PREVIEW_DOMAIN (the default where that is set). "path": below this API, its pages sandboxed',
      ),
    keepPrefix: z
      .boolean()
      .optional()
      .describe(
        "By path: the server in the space gets paths with `basePath` in front, as servers want that are started with a base path. Default false",
      ),
  })
  .meta({ id: "PreviewLinkRequest" });
export type PreviewLinkRequest = z.infer<typeof PreviewLinkRequestSchema>;

export const PreviewLinkSchema = z
  .object({
    url: z.string().describe("Whoever has it may use this port of this space until it expires"),
    expiresAt: z.iso.datetime(),
    via: z.enum(["host", "path"]),
    basePath: z.string().describe('The path that the port\'s own "/" has there'),
  })
  .meta({ id: "PreviewLink" });
export type PreviewLink = z.infer<typeof PreviewLinkSchema>;

/**
 * What both sides of a port's tunnel may say in a text frame (bytes are binary frames): the sender writes no more.
 * The daemon says it only to a client that asked with `?halfClose=true`, and otherwise closes with 1000.
 */
export const TunnelMessageSchema = z.object({ type: z.literal("end") });

export const TunnelQuerySchema = z.object({
  halfClose: z.enum(["true", "false", "1", "0"]).optional(),
});
