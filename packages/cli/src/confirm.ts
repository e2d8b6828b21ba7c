import { createInterface } from "node:readline/promises";
import { CliError, usageError } from "./failure.js";

/** Asks before something is lost. Throws where the answer is not yes, and where there is nobody to ask. */
export async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY) throw usageError(`${question} Nobody is here to say yes.`, "Use -f.");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliError("Nothing was removed.");
  } finally {
    terminal.close();
  }
}
