import { createInterface } from "node:readline/promises";

const STILL_THERE_MS = 15_000;

/**
 * @typedef {(text: string) => void} Progress says what a step is doing
 * @typedef {{ progress: Progress, ask: (question: string) => Promise<boolean>,
 *   suspend: <T>(work: () => Promise<T>) => Promise<T> }} StepContext
 */

/**
 * Tells the person what goes on: one line for each step, with its time. On a terminal the steps
 * under way share one line that is redrawn; elsewhere a long step says now and then that it lives.
 * @param {NodeJS.WriteStream} out
 */
export function createSteps(out = process.stdout) {
  const live = out.isTTY === true;
  const active = new Set();
  let timer;
  let suspended = false;

  const wipe = () => live && out.write("\r\x1b[2K");
  const describe = (step) => {
    const time = seconds(Date.now() - step.started);
    return step.doing === "" ? `${step.name} (${time})` : `${step.name}: ${step.doing} (${time})`;
  };
  const draw = () => {
    if (suspended) return;
    if (live) {
      const line = `… ${[...active].map(describe).join("  ·  ")}`;
      wipe();
      out.write(clip(line, out.columns ?? 80));
      return;
    }
    for (const step of active) {
      if (Date.now() - step.lastSaid < STILL_THERE_MS) continue;
      step.lastSaid = Date.now();
      out.write(`… ${describe(step)}\n`);
    }
  };
  const watch = () => {
    if (active.size > 0 && timer === undefined) timer = setInterval(draw, live ? 200 : 1000);
    if (active.size > 0 || timer === undefined) return;
    clearInterval(timer);
    timer = undefined;
  };

  /** Leaves the terminal to something else that writes to it, such as a question. */
  async function suspend(work) {
    suspended = true;
    wipe();
    try {
      return await work();
    } finally {
      suspended = false;
    }
  }

  const ask = (question) =>
    suspend(async () => {
      const terminal = createInterface({ input: process.stdin, output: out });
      try {
        return /^(y(es)?)?$/i.test((await terminal.question(`${question} [Y/n] `)).trim());
      } finally {
        terminal.close();
      }
    });

  /**
   * Runs one step. What `work` gives becomes the step's detail if it is a string or has a `detail`.
   * @template T
   * @param {string} name
   * @param {(context: StepContext) => T | Promise<T>} work
   * @returns {Promise<T>}
   */
  async function step(name, work) {
    const current = { name, doing: "", started: Date.now(), lastSaid: Date.now() };
    active.add(current);
    watch();
    const close = (mark, detail) => {
      active.delete(current);
      watch();
      wipe();
      const time = seconds(Date.now() - current.started);
      out.write(`${mark} ${name}${detail ? `: ${detail}` : ""} (${time})\n`);
    };
    const progress = (text) => {
      current.doing = text;
    };
    try {
      const result = await work({ progress, ask, suspend });
      close("✓", typeof result === "string" ? result : result?.detail);
      return result;
    } catch (error) {
      close("✗", "");
      throw error;
    }
  }

  return { step, say: (line) => out.write(`${line}\n`) };
}

const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;

function clip(line, columns) {
  return line.length < columns ? line : `${line.slice(0, columns - 2)}…`;
}
