import type { Issue } from "@clawdspace/protocol";

/** One fault that the schema validator found. */
interface Fault {
  /** A JSON pointer: "/env/A". */
  instancePath: string;
  message?: string;
  params?: Record<string, unknown>;
}

/** The validator's faults as the wire tells them: dotted paths, one issue for each unknown field. */
export function toIssues(faults: readonly Fault[]): Issue[] {
  return faults.flatMap(({ instancePath, message = "is not valid", params }) => {
    const path = instancePath.replace(/^\//, "").replaceAll("/", ".");
    const { keys } = params ?? {};
    if (message.startsWith("Unrecognized key") && Array.isArray(keys)) {
      return keys.map((key) => ({
        path: path ? `${path}.${key}` : `${key}`,
        message: "is no known field",
      }));
    }
    return [{ path, message: toSentence(message) }];
  });
}

/** Issues as one text, for the error's own sentence. */
export const describeIssues = (issues: readonly Issue[]) =>
  issues.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ");

/** Zod's own words for the common faults, put as ours are: "must be …". */
function toSentence(message: string): string {
  const [, expected, received] =
    /^Invalid input: expected (.+), received (.+)$/.exec(message) ?? [];
  if (expected === undefined) return message;
  return received === "undefined" ? "is missing" : `must be ${expected}, not ${received}`;
}
