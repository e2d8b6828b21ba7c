import { z } from "zod";

const size = z.number().int().min(1).max(1000);

/** What a terminal's client sends as text frames; anything else it sends is raw input. */
export const TerminalMessageSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("input"), data: z.string() }),
  z.object({ type: z.literal("resize"), cols: size, rows: size }),
  z.object({ type: z.literal("ping") }),
]);
export type TerminalMessage = z.infer<typeof TerminalMessageSchema>;
