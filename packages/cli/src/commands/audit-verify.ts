import type { Context } from "../context.js";
import { EXIT } from "../failure.js";

export async function run(context: Context): Promise<number> {
  const { out } = context;
  const verdict = await (await context.clawdspace()).audit.verify();
  out.result(verdict, () => {
    const { ok, events, firstId, lastId, faults } = verdict;
    const span = firstId === undefined ? "" : `, ${firstId} to ${lastId}`;
    if (ok)
      return `${out.paint("green", "✓")} ${events} events${span}: all are as they were written`;
    const lines = faults.map(
      ({ file, line, message }) => `${file}${line ? `:${line}` : ""}: ${message}`,
    );
    return [`${out.paint("red", "✗")} The log is not what was written:`, ...lines].join("\n");
  });
  return verdict.ok ? EXIT.ok : EXIT.failure;
}
