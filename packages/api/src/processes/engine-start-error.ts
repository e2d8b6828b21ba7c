import { GuestError } from "../guest/types.js";

/** What the runtime says when a command can't be started is a text for people; runc, crun and their older versions differ. */
const CAUSES = [
  {
    code: "not_found",
    text: /no such file or directory|executable file not found|not a directory/i,
  },
  { code: "permission", text: /permission denied|operation not permitted|is a directory/i },
  { code: "invalid", text: /exec format error|argument list too long|invalid argument/i },
  { code: "limit", text: /resource temporarily unavailable|cannot allocate memory/i },
] as const;

/** The exit codes by which the engine says that nothing was started, where it was the engine that said it. */
export const NOT_STARTED = new Set([126, 127, 128, 255]);

/** The failed start of a command as the guest agent would tell it, from what the engine or its runtime said. */
export function toStartError(said: string): GuestError {
  const message = said.replace(/\s+/g, " ").trim().slice(0, 1000);
  const cause = CAUSES.find(({ text }) => text.test(message));
  const step = /\bchdir\b|\bcwd\b|working directory/i.test(message) ? "cwd" : "exec";
  if (!cause) return new GuestError("io", `The command could not be started. ${message}`);
  if (cause.code === "limit") return new GuestError("limit", message, { step: "fork" });
  // A script without an interpreter line is what a shell calls "not executable".
  const code = cause.code === "invalid" && step === "exec" ? "permission" : cause.code;
  return new GuestError(code, message, { step });
}
