import type { FileEntry } from "@clawdspace/client";
import { spacePlace } from "../args.js";
import type { Context } from "../context.js";
import { formatBytes } from "../output.js";

const LETTERS = { dir: "d", file: "-", symlink: "l", other: "?" } as const;

export async function run(
  context: Context,
  [text]: [string],
  { long }: { long?: boolean },
): Promise<undefined> {
  const { out } = context;
  const { name, path } = spacePlace(text);
  const { files } = await context.space(name);
  const entries: FileEntry[] = [];
  for await (const entry of files.entries(path)) entries.push(entry);
  entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  out.result({ path, entries }, () => {
    const shown = (entry: FileEntry) => {
      const target = entry.target === undefined ? "" : ` -> ${printable(entry.target)}`;
      const label = printable(entry.name);
      if (entry.type === "dir") return out.paint("cyan", `${label}/`);
      return entry.type === "symlink" ? `${label}${long ? target : "@"}` : label;
    };
    if (!long) return entries.map(shown).join("\n");
    const rows = entries.map((entry) => [
      `${LETTERS[entry.type]}${entry.mode ?? ""}`,
      formatBytes(entry.size),
      new Date(entry.mtimeMs).toISOString().slice(0, 16).replace("T", " "),
      shown(entry),
    ]);
    return out.table(["MODE", "SIZE", "CHANGED", "NAME"], rows);
  });
}

/** A name as one line: what would move the cursor or change colours is shown as what it is. */
const printable = (name: string) =>
  name.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => JSON.stringify(char).slice(1, -1));
