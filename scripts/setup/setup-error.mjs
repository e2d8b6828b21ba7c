/**
 * A failure the person at the terminal can act on: its message is printed without a stack.
 */
export class SetupError extends Error {
  name = "SetupError";
}
