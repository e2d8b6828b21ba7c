import { ImageReferenceSchema } from "@clawdspace/protocol";
import { EngineError } from "./engine.js";

/**
 * Throws `invalid` where the text is no image reference. Asked before the engine is: a name with empty or dotted
 * segments would reach another of its paths, or a redirect.
 */
export function checkReference(ref: string): void {
  if (!ImageReferenceSchema.safeParse(ref).success)
    throw new EngineError("invalid", `"${ref}" is no valid image reference.`);
}
