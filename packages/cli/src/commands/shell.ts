import type { Terminal } from "@clawdspace/client";
import type { Context } from "../context.js";
import { CliError, EXIT } from "../failure.js";
import { LeaveKeys } from "../leave-keys.js";

/** Undoes what full-screen programs switch on, for a terminal that they could not tidy up themselves. */
const TIDY =
  "\x1b[?1049l\x1b[?25h\x1b[?1l\x1b>\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[0m\r\n";
/** Beyond it, what is typed or pasted waits. */
const MAX_UNSENT_BYTES = 1024 ** 2;
const END_OF_INPUT = "\x04";
const END_AGAIN_MS = 500;

export async function run(
  context: Context,
  [name]: [string],
  { session, command }: { session?: string; command?: string },
): Promise<number> {
  const space = await context.space(name);
  const { stdin, stdout } = process;
  const { columns: cols, rows } = stdout;
  const terminal = await space.terminal({ session, command, cols, rows });
  const raw = stdin.isTTY === true;
  let left = false;
  const leave = () => {
    left = true;
    terminal.close();
  };
  const keys = new LeaveKeys();
  const resize = () => terminal.resize(stdout.columns, stdout.rows);

  terminal.onData((bytes) => {
    if (stdout.write(bytes)) return;
    terminal.pause();
    stdout.once("drain", () => terminal.resume());
  });
  stdin.on("data", (data: Buffer) => {
    const typed = raw ? keys.take(data) : { bytes: data, leave: false };
    if (typed.bytes.length > 0) terminal.write(typed.bytes);
    if (typed.leave) leave();
    holdInput(terminal);
  });
  let ending: NodeJS.Timeout | undefined;
  stdin.on("end", () => {
    terminal.write(END_OF_INPUT);
    // A shell that is about to begin throws away what was typed before.
    ending = setInterval(() => terminal.write(END_OF_INPUT), END_AGAIN_MS);
  });
  stdout.on("resize", resize);
  context.signal.addEventListener("abort", leave);
  if (raw) stdin.setRawMode(true);
  try {
    const { code, reason, exitCode } = await terminal.closed;
    if (exitCode !== undefined) return exitCode;
    if (raw) stdout.write(TIDY);
    if (left) {
      if (session) context.out.note(`Left session "${session}", which goes on.`);
      return EXIT.ok;
    }
    throw new CliError(`The terminal's connection ended${reason ? `: ${reason}` : ` (${code})`}`, {
      hint: session
        ? `\`clawdspace shell ${name} --session ${session}\` attaches again.`
        : "A terminal with --session outlives its connection.",
    });
  } finally {
    clearInterval(ending);
    if (raw) stdin.setRawMode(false);
    stdout.off("resize", resize);
    stdin.pause();
  }
}

/** Reads no more from the keyboard, or the pipe, while much is on its way. */
function holdInput(terminal: Terminal): void {
  if (terminal.bufferedBytes <= MAX_UNSENT_BYTES) return;
  process.stdin.pause();
  const timer = setInterval(() => {
    if (terminal.bufferedBytes > MAX_UNSENT_BYTES / 2) return;
    clearInterval(timer);
    process.stdin.resume();
  }, 20);
}
