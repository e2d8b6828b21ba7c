import { createContext, Script } from "node:vm";
import { ClawdspaceError } from "@clawdspace/protocol";
import picomatch from "picomatch";

/**
 * A pattern can be made that takes a regular expression for ever; all names of a round together get this long, which a busy
 * machine may spend elsewhere for the most part.
 */
const MATCH_TIMEOUT_MS = 500;

const script = new Script("names.map((name) => pattern.test(name))");

/**
 * Finds the names that a glob matches: "*.ts" looks at names, "src/**" at whole paths.
 * Throws `invalid_request` where matching takes too long.
 */
export function globMatcher(glob: string, hidden: boolean): (paths: string[]) => boolean[] {
  const byName = !glob.includes("/");
  const pattern = picomatch.makeRe(glob.replace(/^\//, ""), { dot: hidden, strictSlashes: true });
  return (paths) => {
    const names = byName ? paths.map((path) => path.slice(path.lastIndexOf("/") + 1)) : paths;
    try {
      return script.runInContext(createContext({ names, pattern }), { timeout: MATCH_TIMEOUT_MS });
    } catch (cause) {
      throw new ClawdspaceError(
        "invalid_request",
        "The glob takes too long to match. Make it simpler.",
        {
          issues: [{ path: "glob", message: "takes too long to match" }],
          cause,
        },
      );
    }
  };
}
