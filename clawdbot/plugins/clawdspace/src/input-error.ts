/** OpenClaw shows a model the message of an error of this name, and hides every other one's. */
export class ToolInputError extends Error {
  override readonly name = "ToolInputError";
}
