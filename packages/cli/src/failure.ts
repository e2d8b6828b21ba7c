/** What the process exits with where a command's own code doesn't decide. */
export const EXIT = { ok: 0, failure: 1, usage: 2, timedOut: 124, interrupted: 130 } as const;

/** An error whose text is for the person: what is wrong, and, as the hint, what to do about it. */
export class CliError extends Error {
  constructor(
    message: string,
    readonly options: { hint?: string; exitCode?: number; code?: string } = {},
  ) {
    super(message);
  }

  get exitCode(): number {
    return this.options.exitCode ?? EXIT.failure;
  }
}

export const usageError = (message: string, hint?: string) =>
  new CliError(message, { exitCode: EXIT.usage, code: "usage", ...(hint ? { hint } : {}) });

interface KnownError {
  name: string;
  code: string;
  message: string;
  issues?: { path: string; message: string; line?: number }[];
}

/** What the daemon tells those who call it by HTTP, as it is done here. */
const HERE: [RegExp, string][] = [
  [/ GET \/api\/spaces lists them\.$/, "`clawdspace list` lists them."],
  [/ GET \/api\/templates lists them\.$/, "`clawdspace templates list` lists them."],
];

const HINTS: Record<string, string> = {
  unauthorized:
    "Set CLAWDSPACE_KEY, pipe the key to --key-stdin, or keep it with `clawdspace config set-key`.",
  unreachable:
    "`clawdspace up` starts a daemon here; `clawdspace config` shows which one is asked.",
  engine_unavailable: "`clawdspace doctor` looks at the engine.",
};

/** How an error is told, and the exit code for it. */
export function describe(error: unknown): {
  message: string;
  code: string;
  hint?: string;
  exitCode: number;
} {
  if (error instanceof CliError) {
    const { hint, code = "failed" } = error.options;
    return { message: error.message, code, exitCode: error.exitCode, ...(hint ? { hint } : {}) };
  }
  if (error instanceof Error && error.name === "ClawdspaceError") {
    const { code, message: told, issues } = error as unknown as KnownError;
    const [asRequest, instead] = HERE.find(([pattern]) => pattern.test(told)) ?? [];
    const message = asRequest ? told.replace(asRequest, "") : told;
    const lines = (issues ?? []).filter(({ line }) => line !== undefined);
    const where = lines.map(({ line, path, message: text }) => `\n  line ${line}: ${path} ${text}`);
    const hint = instead ?? HINTS[code];
    const exitCode = code === "timed_out" ? EXIT.timedOut : EXIT.failure;
    return { message: message + where.join(""), code, exitCode, ...(hint ? { hint } : {}) };
  }
  if (error instanceof Error && error.name === "AbortError") {
    return { message: "Interrupted", code: "interrupted", exitCode: EXIT.interrupted };
  }
  const { code, message, path } = (error ?? {}) as Partial<Record<string, unknown>>;
  if (code === "ENOENT" && typeof path === "string") {
    return { message: `There is no ${path} here.`, code: "failed", exitCode: EXIT.failure };
  }
  return {
    message: typeof message === "string" ? message : String(error),
    code: typeof code === "string" ? code : "failed",
    exitCode: EXIT.failure,
  };
}
