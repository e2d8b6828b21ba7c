const NEWLINE = 10;
/** What bash writes before a command where HISTTIMEFORMAT is set. */
const STAMP = /^#(\d{9,11})$/;

export interface ShellCommand {
  command: string;
  /** When the shell says that it was run. */
  at: Date | undefined;
  /** Where it ends in the file. */
  end: number;
}

/**
 * Reads commands out of a piece of a shell's history: each a line "#SECONDS" and the lines of the command up to the next
 * such line. Lines before the first one, as shells write that keep no times, are a command each.
 * @param base where the piece begins in the file.
 * @param settled whether the piece ends where the file does and nothing is being added, so that the last command is whole.
 * @param max how many commands are taken at most.
 * @returns the commands, and up to where they are all that the file has.
 */
export function parseHistory(
  piece: Buffer,
  base: number,
  { settled, max }: { settled: boolean; max: number },
): { commands: ShellCommand[]; end: number } {
  const commands: ShellCommand[] = [];
  let open: { at: Date; lines: string[]; start: number } | undefined;
  let end = base;
  const close = (at: number) => {
    if (!open) return;
    if (open.lines.join("").trim() !== "") {
      commands.push({ command: open.lines.join("\n"), at: open.at, end: at });
    }
    end = at;
    open = undefined;
  };
  let start = 0;
  while (commands.length < max) {
    const stop = piece.indexOf(NEWLINE, start);
    if (stop < 0) break;
    const line = piece.toString("utf8", start, stop);
    const stamp = STAMP.exec(line);
    if (stamp) {
      close(base + start);
      if (commands.length < max) {
        open = { at: new Date(Number(stamp[1]) * 1000), lines: [], start: base + start };
      }
    } else if (open) {
      open.lines.push(line);
    } else {
      end = base + stop + 1;
      if (line.trim() !== "") commands.push({ command: line, at: undefined, end });
    }
    start = stop + 1;
  }
  if (settled && open && open.lines.length > 0) close(base + start);
  return { commands, end };
}
