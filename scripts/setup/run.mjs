import { spawn } from "node:child_process";
import { SetupError } from "./setup-error.mjs";

const FIRST_LINES = 10;
const LAST_LINES = 20;
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
const CHILDREN_END_WITHIN_MS = 5_000;
const running = new Set();
const cleanUps = [];
let watching = false;
let interrupted = false;

/**
 * Runs a command to its end with its output kept back. What it prints goes line by line to
 * `onLine`; a failure throws with the lines that matter.
 * @param {string[]} argv
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, input?: string,
 *   onLine?: (line: string) => void, what?: string }} options `what` names it in the failure
 * @returns {Promise<string>} all output
 * @throws {SetupError}
 */
export async function run(argv, options = {}) {
  const { code, output } = await tryRun(argv, options);
  if (code === 0) return output;
  const what = options.what ?? argv.join(" ");
  throw new SetupError(`${what} failed (exit code ${code}).\n\n${excerpt(output)}`);
}

/**
 * As `run`, for a command whose failure is an answer.
 * @returns {Promise<{ code: number, output: string }>}
 */
export function tryRun([program, ...args], { cwd, env, onLine, input } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    track(child);
    let output = "";
    let pending = "";
    const take = (chunk) => {
      output += chunk;
      const lines = (pending + chunk).split(/[\r\n]+/);
      pending = lines.pop() ?? "";
      if (onLine) for (const line of lines) if (line.trim() !== "") onLine(line.trim());
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    if (input !== undefined) child.stdin.on("error", () => {}).end(input);
    child.on("error", (error) => resolve({ code: 127, output: output + error.message }));
    // Ended by a signal to us, it has not failed: this process is about to end as well.
    child.on("close", (code) => interrupted || resolve({ code: code ?? 1, output }));
  });
}

/** Counts a child as ours: a signal that ends the set-up is passed on to it. */
export function track(child) {
  running.add(child);
  watchSignals();
  const forget = () => {
    running.delete(child);
    watchSignals();
  };
  child.on("error", forget).on("close", forget);
  return child;
}

/** Has something done before a signal ends this process. */
export function onInterrupt(cleanUp) {
  cleanUps.push(cleanUp);
  watchSignals();
}

/** With nothing to pass a signal on to, or to clean up, it does what it does by default. */
function watchSignals() {
  const wanted = running.size > 0 || cleanUps.length > 0;
  if (wanted === watching) return;
  watching = wanted;
  for (const signal of Object.keys(EXIT_CODES)) {
    if (wanted) process.on(signal, passOn);
    else process.off(signal, passOn);
  }
}

async function passOn(signal) {
  interrupted = true;
  await endChildren(signal);
  for (const cleanUp of cleanUps) await cleanUp();
  process.exit(EXIT_CODES[signal]);
}

/** Ends what is still running, for a set-up that has failed: the next one must find it gone. */
export async function endChildren(signal = "SIGTERM") {
  const children = [...running];
  const ended = children.map((child) => new Promise((resolve) => child.on("close", resolve)));
  for (const child of children) child.kill(signal);
  const deadline = new Promise((resolve) => setTimeout(resolve, CHILDREN_END_WITHIN_MS).unref());
  await Promise.race([Promise.all(ended), deadline]);
}

/** Enough of a command's output to see what went wrong: some tools say it first, some last. */
export function excerpt(output) {
  const lines = output.trim().split("\n");
  if (lines.length <= FIRST_LINES + LAST_LINES) return lines.join("\n");
  return [...lines.slice(0, FIRST_LINES), "…", ...lines.slice(-LAST_LINES)].join("\n");
}
