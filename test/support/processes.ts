import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import type { Daemon } from "./daemon.js";

// biome-ignore lint/suspicious/noExplicitAny: lines of every shape, asserted by the tests that read them
export type Line = any;

/** The lines of an NDJSON answer as they come. */
export async function* linesOf(answer: Response): AsyncGenerator<Line> {
  if (!answer.body) return;
  const input = Readable.fromWeb(answer.body as import("node:stream/web").ReadableStream);
  for await (const line of createInterface({ input })) yield JSON.parse(line);
}

/** The bytes of one output line, however they are encoded. */
export const bytesOf = (line: Line, encoding: "utf8" | "base64" = "utf8"): Buffer =>
  Buffer.from(line.data, line.encoding ?? encoding);

/** What became of a command, in whichever way it was run. */
export interface Outcome {
  status: number;
  code: string | undefined;
  stdout: Buffer;
  stderr: Buffer;
  exitCode: number | undefined;
  timedOut: boolean;
}

export interface Command {
  command: string | string[];
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  stdinBase64?: string;
  timeoutMs?: number;
  user?: "sandbox" | "root";
}

export type Way = "exec" | "background" | "pty";

/** Runs a command to its end as an exec, as a background process that is followed, or as one in a terminal. */
export async function runBy(
  daemon: Daemon,
  way: Way,
  space: string,
  command: Command,
): Promise<Outcome> {
  return way === "exec"
    ? await runExec(daemon, space, command)
    : await runProcess(daemon, space, { ...command, ...(way === "pty" ? { pty: SIZE } : {}) });
}

const SIZE = { cols: 80, rows: 24 };

async function runExec(daemon: Daemon, space: string, command: Command): Promise<Outcome> {
  const answer = await daemon.request(
    "POST",
    `/api/spaces/${space}/exec`,
    { ...command, encoding: "base64" },
    { headers: { accept: "application/x-ndjson" } },
  );
  return await gather(answer, "base64");
}

async function runProcess(daemon: Daemon, space: string, command: object): Promise<Outcome> {
  const path = `/api/spaces/${space}/processes`;
  const started = await daemon.json("POST", path, command);
  if (started.status !== 201) {
    const nothing = Buffer.alloc(0);
    return {
      status: started.status,
      code: started.body.code,
      stdout: nothing,
      stderr: nothing,
      exitCode: undefined,
      timedOut: false,
    };
  }
  const answer = await daemon.request("GET", `${path}/${started.body.process.id}/output?follow=1`);
  return await gather(answer, "utf8");
}

async function gather(answer: Response, encoding: "utf8" | "base64"): Promise<Outcome> {
  const pieces = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const outcome = { status: answer.status, exitCode: undefined, timedOut: false };
  let end: Line;
  let at = 0;
  let code: string | undefined;
  if (answer.status === 200) {
    for await (const line of linesOf(answer)) {
      if (line.type === "stdout" || line.type === "stderr") {
        const bytes = bytesOf(line, encoding);
        expect(line.offset).toBe(at);
        at += bytes.length;
        pieces[line.type as "stdout" | "stderr"].push(bytes);
      } else if (line.type === "error") {
        code = line.code;
      } else if (line.type !== "paused" && line.type !== "resumed") {
        expect(line.type).toBe("exit");
        end = line;
      }
    }
  } else {
    code = JSON.parse(await answer.text()).code;
  }
  return {
    ...outcome,
    code,
    stdout: Buffer.concat(pieces.stdout),
    stderr: Buffer.concat(pieces.stderr),
    exitCode: end?.exitCode,
    timedOut: end?.timedOut === true,
  };
}

/** Asks until the answer is as wanted; fails with the last one after `timeoutMs`. */
export async function eventually<T>(
  ask: () => Promise<T>,
  wanted: (answer: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > until) throw new Error(`still ${JSON.stringify(answer)}`);
    await delay(50);
  }
}

/** The pids of a space's processes whose command line is exactly this, as the space itself sees them. */
export async function pidsOf(daemon: Daemon, space: string, command: string): Promise<string[]> {
  const look = `for p in /proc/[0-9]*; do
    [ "$(tr '\\0' ' ' <$p/cmdline 2>/dev/null)" = "$0 " ] && echo "\${p#/proc/}"; done; true`;
  const { status, body } = await daemon.json("POST", `/api/spaces/${space}/exec`, {
    command: ["sh", "-c", look, command],
  });
  expect(status, JSON.stringify(body)).toBe(200);
  return body.stdout.split("\n").filter(Boolean);
}
