import type { Finding } from "@clawdspace/client";
import type { Context } from "../context.js";
import { findings } from "../doctor/checks.js";
import { EXIT } from "../failure.js";

const MARKS = { ok: ["green", "✓"], warning: ["yellow", "!"], failed: ["red", "✗"] } as const;

export async function run(context: Context): Promise<number> {
  const { out } = context;
  const checks: Finding[] = [];
  for await (const finding of findings(context)) {
    checks.push(finding);
    const { name, status, detail, fix } = finding;
    const [colour, mark] = MARKS[status];
    out.say(`${out.paint(colour, mark)} ${name}: ${detail}`);
    if (fix) out.say(`    ${fix}`);
  }
  if (out.isJson) out.result({ checks }, () => undefined);
  return checks.some(({ status }) => status === "failed") ? EXIT.failure : EXIT.ok;
}
