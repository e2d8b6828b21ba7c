import { ClawdspaceError, type Issue, type Template, TemplateSchema } from "@clawdspace/protocol";
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";

type Path = readonly PropertyKey[];

/**
 * Reads a template's YAML.
 * Throws `unprocessable` with each fault's path and line, in the message and as issues.
 */
export function parseTemplate(yaml: string): Template {
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines, prettyErrors: false });
  const faults = document.errors.map(({ message, pos }) => ({
    path: "",
    message,
    line: lines.linePos(pos[0]).line,
  }));
  if (faults.length > 0) throw invalid("The template is no valid YAML", faults);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw invalid("The template is no valid YAML", [
      { path: "", message: cause instanceof Error ? cause.message : String(cause), line: 1 },
    ]);
  }
  const parsed = TemplateSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const lineOf = (path: Path) => lines.linePos(offsetOf(document, path)).line;
  const issues = parsed.error.issues.flatMap(spread).map(({ path, message }) => ({
    path: path.map(String).join("."),
    message,
    line: lineOf(path),
  }));
  throw invalid("The template is not valid", issues);
}

/** An issue about unknown keys as one for each key, at the key's own place. */
function spread(issue: z.core.$ZodIssue): { path: PropertyKey[]; message: string }[] {
  if (issue.code !== "unrecognized_keys") return [issue];
  return issue.keys.map((key) => ({
    path: [...issue.path, key],
    message: "is not a key that templates have here",
  }));
}

/** Where the value of a path begins, or, where it is missing, what should hold it. */
function offsetOf(document: Document, path: Path): number {
  const parent = path.length === 0 ? undefined : document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const key = parent.items.find(
      (pair) => isScalar(pair.key) && String(pair.key.value) === String(path.at(-1)),
    )?.key;
    if (isNode(key) && key.range) return key.range[0];
  }
  const node = document.getIn(path, true);
  if (isNode(node) && node.range) return node.range[0];
  return path.length === 0 ? 0 : offsetOf(document, path.slice(0, -1));
}

function invalid(what: string, issues: Issue[]): ClawdspaceError {
  const text = issues.map(({ path, message, line }) =>
    path ? `line ${line}, ${path}: ${message}` : `line ${line}: ${message}`,
  );
  return new ClawdspaceError("unprocessable", `${what}. ${text.join("; ")}`, { issues });
}
