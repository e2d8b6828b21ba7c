import { ClawdspaceError } from "@clawdspace/client";

/**
 * Replaces texts one after another, each in what the one before left. Throws `unprocessable` where a text isn't there,
 * and where it is there several times without `all`.
 */
export function editText(
  text: string,
  edits: readonly { oldText: string; newText: string }[],
  all: boolean,
): { text: string; replacements: number } {
  let edited = text;
  let replacements = 0;
  for (const [index, { oldText, newText }] of edits.entries()) {
    const pieces = edited.split(oldText);
    const count = pieces.length - 1;
    if (count === 0) {
      throw refusal(index, "does not occur in the file. Read the file again and copy it exactly.");
    }
    if (count > 1 && !all) {
      throw refusal(
        index,
        `occurs ${count} times. Take in more of what is around it, or say replaceAll.`,
      );
    }
    edited = pieces.join(newText);
    replacements += count;
  }
  return { text: edited, replacements };
}

const refusal = (index: number, what: string) =>
  new ClawdspaceError("unprocessable", `Nothing was changed: oldText of edit ${index + 1} ${what}`);
