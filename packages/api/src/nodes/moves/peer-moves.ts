import { EnvSchema, SpaceNameSchema, SpaceSchema } from "@clawdspace/protocol";
import { z } from "zod";
import { SpaceSpecSchema } from "../../spaces/space-spec.js";

const id = z.uuid();

/** What a node tells another of a space that it is to take over. */
export const PreparedMoveSchema = z.strictObject({
  id,
  name: SpaceNameSchema,
  spec: SpaceSpecSchema,
  /** What its processes get, secrets among it. */
  env: EnvSchema,
  /** How much the workspace holds, where that is known. */
  bytes: z.number().int().min(0).optional(),
});
export type PreparedMove = z.infer<typeof PreparedMoveSchema>;

export const MoveParamsSchema = z.object({ name: SpaceNameSchema, id });

export const TreeDigestSchema = z.object({
  sha256: z.string(),
  entries: z.number(),
  bytes: z.number(),
});

/** "removed" says that it was the space there, and has been removed since; "unknown" says that the copy is not the space there, and never will be. */
export const CommittedMoveSchema = z.discriminatedUnion("state", [
  z.object({ state: z.literal("moved"), space: SpaceSchema }),
  z.object({ state: z.literal("removed") }),
  z.object({ state: z.literal("unknown"), reason: z.string() }),
]);
export type CommittedMove = z.infer<typeof CommittedMoveSchema>;
