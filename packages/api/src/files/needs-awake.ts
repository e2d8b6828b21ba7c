import { EngineError } from "../engine/engine.js";

/** Says that something can't be had from a sleeping space, or not cheaply, though an awake one would tell it. */
export class NeedsAwake extends Error {
  override readonly name = "NeedsAwake";
}

/** What the engine stumbles over, an awake space may still answer; only an engine that is gone is a failure. */
export async function unlessBeyond<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof EngineError && cause.kind !== "unavailable") {
      throw new NeedsAwake("the engine does not tell", { cause });
    }
    throw cause;
  }
}
