import type { Context } from "../context.js";
import { checks, type Finding } from "../doctor/checks.js";
import { EXIT } from "../failure.js";

const MARKS = { ok: ["green", "✓"], warning: ["yellow", "!"], failed: ["red", "✗"] } as const;

export async function run(context: Context): Promise<number> {
  const { out } = context;
  const results: (Finding & { name: string })[] = [];
  for (const check of checks) {
    const result = { name: check.name, ...(await check.run(context)) };
    results.push(result);
    const [colour, mark] = MARKS[result.status];
    out.say(`${out.paint(colour, mark)} ${result.name}: ${result.detail}`);
    if (result.fix) out.say(`    ${result.fix}`);
  }
  if (out.isJson) out.result({ checks: results }, () => undefined);
  return results.some(({ status }) => status === "failed") ? EXIT.failure : EXIT.ok;
}
