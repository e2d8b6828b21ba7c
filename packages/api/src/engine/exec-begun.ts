import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 10;
const PATIENCE_MS = 5000;

/** What the engine says of an exec, as far as it matters here. */
export interface ExecState {
  Pid: number;
  Running: boolean;
  ExitCode: number | null;
}

/**
 * Whether the engine has started an exec's command, or has given up on it. One that it has not come to yet looks like one
 * that has ended, but for the exit code.
 */
export const hasBegun = ({ Pid, Running, ExitCode }: ExecState): boolean =>
  Pid > 0 || (!Running && ExitCode !== null);

/**
 * Resolves when an exec has begun, and after some seconds in any case: one that the engine has dropped never does.
 * Throws what `inspect` throws.
 */
export async function untilBegun(
  inspect: () => Promise<ExecState>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const until = Date.now() + patienceMs;
  while (!hasBegun(await inspect()) && Date.now() < until) await delay(POLL_MS);
}
