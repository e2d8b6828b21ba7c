import { expect, it } from "vitest";
import { toStartError } from "./engine-start-error.js";

const RUNC = "OCI runtime exec failed: exec failed: unable to start container process:";

it.each([
  [`${RUNC} exec: "nope": executable file not found in $PATH: unknown`, "not_found", "exec"],
  [`${RUNC} exec: "/x": stat /x: no such file or directory: unknown`, "not_found", "exec"],
  [`${RUNC} exec: "/etc/passwd": permission denied: unknown`, "permission", "exec"],
  [`${RUNC} exec /workspace/a: exec format error: unknown`, "permission", "exec"],
  [
    `${RUNC} chdir to cwd ("/nope") set in config.json failed: no such file or directory`,
    "not_found",
    "cwd",
  ],
  [`${RUNC} chdir to cwd ("/a") set in config.json failed: not a directory`, "not_found", "cwd"],
  [
    "crun: executable file `nope` not found in $PATH: No such file or directory",
    "not_found",
    "exec",
  ],
  ["crun: chdir to `/nope`: No such file or directory: OCI runtime error", "not_found", "cwd"],
  [`${RUNC} fork/exec: resource temporarily unavailable`, "limit", "fork"],
  ["something else", "io", undefined],
])("%s", (said, code, step) => {
  expect(toStartError(said)).toMatchObject({ code, details: step ? { step } : {} });
});
