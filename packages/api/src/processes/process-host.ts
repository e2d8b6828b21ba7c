import type { Guest, GuestTableEntry } from "../guest/types.js";

/** Where the processes of one space run: its guest agent, or, where that can't run, execs of the engine. */
export type ProcessHost = Pick<
  Guest,
  | "start"
  | "run"
  | "list"
  | "output"
  | "retain"
  | "writeStdin"
  | "closeStdin"
  | "resize"
  | "signal"
  | "forget"
> & {
  /** Every process of the space, as far as it can be seen. */
  processTable(): Promise<
    (Pick<GuestTableEntry, "pid" | "argv" | "processId"> & { startedAt?: Date })[]
  >;
  /** Kills what an earlier run of the daemon waited for, where the host itself doesn't keep that apart. */
  killOrphans?(): Promise<number>;
};
