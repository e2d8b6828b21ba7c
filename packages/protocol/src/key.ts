import * as z from "zod";

/** What a key may do: a viewer reads, an agent uses spaces, an admin does everything. */
export const RoleSchema = z.enum(["viewer", "agent", "admin"]);
export type Role = z.infer<typeof RoleSchema>;

const SpacePatternSchema = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-zA-Z0-9_*?-]+$/, "may hold letters, digits, '-', '_', '*' and '?' only");

export const KeySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    role: RoleSchema,
    spaces: z.array(SpacePatternSchema).optional().describe("Names that the key is limited to"),
    createdAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().optional(),
  })
  .meta({ id: "Key" });
export type Key = z.infer<typeof KeySchema>;

export const CreateKeyRequestSchema = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/, "may hold letters, digits, '.', '-' and '_' only"),
    role: RoleSchema,
    spaces: z.array(SpacePatternSchema).min(1).max(100).optional(),
  })
  .refine((body) => body.spaces === undefined || body.role !== "admin", {
    path: ["spaces"],
    message: "can't limit an admin",
  })
  .meta({ id: "CreateKeyRequest" });
export type CreateKeyRequest = z.infer<typeof CreateKeyRequestSchema>;

/** The only answer that ever holds a key's secret. */
export const CreatedKeySchema = z.object({ key: KeySchema, secret: z.string() });
export const KeyListSchema = z.object({ keys: z.array(KeySchema) });
export const KeyParamsSchema = z.object({ id: z.string().min(1).max(64) });

export const CreateSessionRequestSchema = z.strictObject({ key: z.string().min(1).max(512) });

/** Who asks, as the key or the session says. */
export const ActorSchema = z.object({
  name: z.string(),
  role: RoleSchema,
  spaces: z.array(z.string()).optional(),
  authDisabled: z
    .literal(true)
    .optional()
    .describe("Authentication is off: whoever reaches the daemon may do everything"),
});
export type Actor = z.infer<typeof ActorSchema>;
