import { ClawdspaceError } from "@clawdspace/client";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";

/** A tool's answer: a text to read, and the same as data by the tool's output schema. */
export const answer = (
  text: string,
  structuredContent: Record<string, unknown>,
): CallToolResult => ({
  content: [{ type: "text", text }],
  structuredContent,
});

/** As `answer`, of data that is its own best description. */
export const data = (value: Record<string, unknown>): CallToolResult =>
  answer(JSON.stringify(value, null, 2), value);

/** Runs a tool; what the daemon refuses becomes an answer that tells the model what was wrong and what to do. */
export async function toAnswer(run: () => Promise<CallToolResult>): Promise<CallToolResult> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ClawdspaceError)) throw error;
    const issues = (error.issues ?? []).map(({ path, message }) => `- ${path}: ${message}`);
    const text = [`${error.message} (${error.code})`, ...issues].join("\n");
    return { isError: true, content: [{ type: "text", text }] };
  }
}
