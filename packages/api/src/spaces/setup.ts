import { ClawdspaceError } from "@clawdspace/protocol";
import type { CommandRunner } from "../processes/command-runner.js";
import { toExecEvents } from "../processes/exec-events.js";
import type { SpaceEntry } from "./space-entry.js";

/** Of a failed command's output, what the error tells. */
const MAX_OUTPUT_CHARS = 4000;

/**
 * Runs a template's set-up commands, one after another, as the space's user in its workspace.
 * Throws `unprocessable` with the end of the output of the first one that fails; those after it don't run.
 */
export async function runSetup(
  commands: Pick<CommandRunner, "run">,
  entry: SpaceEntry,
  setup: readonly string[],
  options: { signal: AbortSignal; onOutput: (text: string) => void },
): Promise<void> {
  for (const [index, command] of setup.entries()) {
    options.onOutput(`$ ${command}\n`);
    let said = "";
    let exitCode = 0;
    const events = toExecEvents(commands.run(entry, { command }, options.signal), {});
    for await (const event of events) {
      if (event.type === "exit") exitCode = event.exitCode;
      if (event.type !== "stdout" && event.type !== "stderr") continue;
      options.onOutput(event.data);
      said = (said + event.data).slice(-MAX_OUTPUT_CHARS);
    }
    options.signal.throwIfAborted();
    if (exitCode === 0) continue;
    const output = said.trim() || "nothing";
    throw new ClawdspaceError(
      "unprocessable",
      `The template's set-up failed, so the space was not made. "${command}" ended with exit code ${exitCode} and wrote: ${output}`,
      { issues: [{ path: `setup.${index}`, message: `exit code ${exitCode}: ${output}` }] },
    );
  }
}
