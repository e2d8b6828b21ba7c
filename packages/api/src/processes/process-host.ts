import type { Guest } from "../guest/types.js";

/** Where the processes of one space run: its guest agent, or, where that can't run, execs of the engine. */
export type ProcessHost = Pick<
  Guest,
  "start" | "run" | "list" | "output" | "writeStdin" | "closeStdin" | "resize" | "signal" | "forget"
>;
