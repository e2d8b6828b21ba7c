import { fstatSync, readFileSync } from "node:fs";
import { type Clawdspace, outputBytes, type SpaceHandle } from "@clawdspace/client";
import { Command } from "commander";
import { duration, pairs } from "../args.js";
import type { Context } from "../context.js";
import { EXIT, usageError } from "../failure.js";
import { toOption } from "../option.js";
import { write } from "../output.js";

interface Options {
  env?: string[];
  workdir?: string;
  user?: "sandbox" | "root";
  timeout?: string;
  detach?: boolean;
  tag?: string;
  stdin?: boolean;
}

/** What is sent in one request at once, without a process that waits for more. */
const INLINE_STDIN_BYTES = 8 * 1024 ** 2;

export async function run(
  context: Context,
  [name, words]: [string, string[]],
  before: Options,
): Promise<number> {
  const { command, options } = toCommand(context, words, before);
  const space = await context.space(name);
  const env = pairs("--env", options.env);
  const started = {
    ...(options.workdir === undefined ? {} : { cwd: options.workdir }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(env ? { env } : {}),
    ...(options.timeout === undefined ? {} : { timeoutMs: duration("--timeout", options.timeout) }),
  };
  if (options.detach) {
    const tag = options.tag === undefined ? {} : { tag: options.tag };
    const process = await space.processes.start(command, { ...started, ...tag, stdin: false });
    context.out.result({ process }, () => process.id);
    return EXIT.ok;
  }
  const input = options.stdin === false ? undefined : ownInput();
  if (input === "stream") return await withStdin(context, space, command, started);
  const stdin = input === undefined ? {} : { stdinBase64: input.toString("base64") };
  const { signal, out } = context;
  if (out.isJson) {
    const result = await space.exec(command, { ...started, ...stdin, signal }).wait();
    out.result(result, () => undefined);
    return result.timedOut ? EXIT.timedOut : result.exitCode;
  }
  const running = space.exec(command, { ...started, ...stdin, encoding: "base64", signal });
  for await (const event of running) {
    if (event.type === "stdout" || event.type === "stderr") {
      await write(process[event.type], Buffer.from(event.data, "base64"));
    }
    if (event.type === "exit") return ended(context, event);
  }
  return EXIT.failure;
}

/** What stands after NAME: options, then words for the shell, or after `--` a program and its arguments. */
function toCommand(
  context: Context,
  words: string[],
  before: Options,
): { command: string | string[]; options: Options } {
  const parsed = parse(context, words);
  const options = { ...before, ...parsed.options };
  options.env = [...(before.env ?? []), ...(parsed.options.env ?? [])];
  if (options.env.length === 0) delete options.env;
  if (parsed.words.length === 0) {
    throw usageError(
      "exec needs a command.",
      "clawdspace exec NAME COMMAND…, or clawdspace shell NAME.",
    );
  }
  return { command: parsed.exact ? parsed.words : parsed.words.join(" "), options };
}

function parse(
  context: Context,
  words: string[],
): { words: string[]; exact: boolean; options: Options } {
  if (!words[0]?.startsWith("-")) {
    // `exec NAME -- ARGV`: the parser has taken the two dashes away already.
    const argv = process.argv.slice(2);
    const at = argv.indexOf("--");
    const exact = at >= 0 && argv.length - at - 1 === words.length;
    return { words, exact, options: {} };
  }
  const own = new Command("exec").exitOverride().passThroughOptions().argument("[words...]");
  own
    .configureOutput({ writeErr: () => {} })
    .helpOption(false)
    .action(() => {});
  const spec = context.commands.find(({ name }) => name === "exec");
  for (const option of spec?.options ?? []) own.addOption(toOption(option));
  own.parse(words, { from: "user" });
  return { words: own.args, exact: words.includes("--"), options: own.opts() };
}

/** What is piped in: all of it where that is little and known, "stream" where more may come, undefined for a terminal. */
function ownInput(): Buffer | "stream" | undefined {
  try {
    const stat = fstatSync(0);
    if (stat.isCharacterDevice()) return undefined;
    if (stat.isFile() && stat.size <= INLINE_STDIN_BYTES) return readFileSync(0);
    return "stream";
  } catch {
    return undefined;
  }
}

/** Runs it as a process whose stdin is written to as it comes. It is ended when this command is. */
async function withStdin(
  context: Context,
  space: SpaceHandle,
  command: string | string[],
  options: Parameters<ReturnType<Clawdspace["space"]>["processes"]["start"]>[1],
): Promise<number> {
  const { processes } = space;
  const { id } = await processes.start(command, { ...options, stdin: true, onFull: "block" });
  const over = new AbortController();
  const kept: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  feed(processes, id, over.signal).catch(() => {});
  try {
    const { signal } = context;
    for await (const event of processes.output(id, { encoding: "base64", signal })) {
      if (event.type === "stdout" || event.type === "stderr") {
        const bytes = Buffer.from(outputBytes(event));
        if (context.out.isJson) kept[event.type].push(bytes);
        else await write(process[event.type], bytes);
      }
      if (event.type !== "exit") continue;
      const { exitCode, timedOut } = event;
      const [stdout, stderr] = [Buffer.concat(kept.stdout), Buffer.concat(kept.stderr)].map(String);
      const result = { stdout, stderr, exitCode, ...(timedOut ? { timedOut } : {}) };
      if (context.out.isJson) context.out.result(result, () => undefined);
      return ended(context, event);
    }
    return EXIT.failure;
  } finally {
    over.abort();
    await processes.remove(id).catch(() => {});
  }
}

async function feed(
  processes: SpaceHandle["processes"],
  id: string,
  signal: AbortSignal,
): Promise<void> {
  for await (const piece of process.stdin) {
    if (signal.aborted) return;
    await processes.stdin(id, piece as Buffer);
  }
  if (!signal.aborted) await processes.closeStdin(id);
}

function ended(
  context: Context,
  exit: { exitCode: number; timedOut?: boolean | undefined },
): number {
  if (!exit.timedOut) return exit.exitCode;
  context.out.note("clawdspace: timed out; everything that the command started was killed");
  return EXIT.timedOut;
}
