import * as z from "zod";

/** What confines a space, as read back from the engine, and what its network policy comes to. */
export const SpaceSecuritySchema = z
  .object({
    user: z.string().describe("uid:gid of its processes"),
    capabilities: z.array(z.string()).describe("Empty: none"),
    noNewPrivileges: z.boolean(),
    seccomp: z.string().describe('"default" (the engine\'s profile), "unconfined", or a profile'),
    runtime: z.string(),
    readonlyRootfs: z.boolean(),
    privileged: z.boolean(),
    hostMounts: z.array(z.string()).describe("Folders and devices of the node that it sees"),
    maskedPaths: z.array(z.string()),
    readonlyPaths: z.array(z.string()),
    tmpfs: z.record(z.string(), z.string()).describe("Mount options by path"),
    limits: z.object({
      memoryBytes: z.number(),
      memorySwapBytes: z
        .number()
        .describe("Memory and swap together; -1 where the node can't limit swap"),
      cpus: z.number(),
      pids: z.number(),
      diskBytes: z.number().optional().describe("Of the workspace; unlimited where left out"),
    }),
    network: z.object({
      mode: z.enum(["none", "internet", "lan"]),
      name: z.string().describe("The engine's network that it is attached to"),
      address: z.string().optional(),
      blockedCidrs: z.array(z.string()).describe("Refused, except what is allowed more narrowly"),
      allowedCidrs: z.array(z.string()),
      allowedDomains: z.array(z.string()).optional(),
      enforcedBy: z.string().optional(),
      checkedAt: z.iso.datetime().optional().describe("When the rules were last seen in force"),
    }),
  })
  .meta({ id: "SpaceSecurity" });
export type SpaceSecurity = z.infer<typeof SpaceSecuritySchema>;
