import { readFile } from "node:fs/promises";
import type { Clawdspace } from "@clawdspace/client";
import { pairs, whole } from "../args.js";
import type { Context } from "../context.js";
import { CliError, usageError } from "../failure.js";
import { formatBytes } from "../output.js";
import { firstLine } from "../stdin.js";

interface Options {
  template?: string;
  memory?: string;
  cpus?: string;
  gpu?: boolean;
  image?: string;
  env?: string[];
  envFile?: string;
  label?: string[];
  description?: string;
  repo?: string;
  branch?: string;
  dest?: string;
  depth?: string;
  submodules?: boolean;
  lfs?: boolean;
  gitTokenStdin?: boolean;
  keepOnError?: boolean;
  githubToken?: string;
  githubTokenStdin?: boolean;
  pull?: boolean;
  node?: string;
}

export async function run(
  context: Context,
  [name]: [string],
  options: Options,
): Promise<undefined> {
  const { out, signal } = context;
  const env = pairs("--env", options.env) ?? {};
  const token = options.githubTokenStdin ? await firstLine("the token") : options.githubToken;
  if (token !== undefined) env.GITHUB_TOKEN = token;
  const gitToken = options.gitTokenStdin ? await firstLine("the token") : undefined;
  const cpus = options.cpus === undefined ? undefined : Number(options.cpus);
  if (Number.isNaN(cpus)) throw usageError(`--cpus takes a number, and got "${options.cpus}".`);
  const labels = pairs("--label", options.label);
  const request = {
    name,
    ...given({
      template: options.template,
      memory: options.memory,
      cpus,
      gpu: options.gpu,
      image: options.image,
      env: Object.keys(env).length > 0 ? env : undefined,
      envFileText:
        options.envFile === undefined ? undefined : await readFile(options.envFile, "utf8"),
      labels,
      description: options.description,
      repoUrl: options.repo,
      repoBranch: options.branch,
      repoDest: options.dest,
      repoDepth: options.depth === undefined ? undefined : whole("--depth", options.depth),
      repoSubmodules: options.submodules,
      repoLfs: options.lfs === false ? false : undefined,
      gitToken,
      keepOnError: options.keepOnError,
      node: options.node,
      wait: options.pull === false ? false : undefined,
    }),
  };
  const clawdspace = await serverFor(context, options.gpu === true && options.node === undefined);
  const made = await clawdspace.spaces.create(request, {
    signal,
    onProgress: ({ step, message, current, total }) => {
      const amount = total ? ` ${formatBytes(current ?? 0)} of ${formatBytes(total)}` : "";
      out.progress(`… ${step}: ${message}${amount}`);
    },
  });
  out.progress("");
  const { info } = made;
  out.result({ space: info }, () => {
    const size = info
      ? `: ${formatBytes(info.memory)}, ${info.cpus} CPU${info.cpus === 1 ? "" : "s"}`
      : "";
    return `${out.paint("green", "✓")} ${name} is ready${size}`;
  });
}

/** The chosen server; for a GPU, where none was named, the first known one that has one. */
async function serverFor(context: Context, gpu: boolean): Promise<Clawdspace> {
  if (!gpu || context.pinned !== undefined) return await context.clawdspace();
  for (const server of await context.everyServer()) {
    const clawdspace = await context.client(server);
    const { gpu: has } = await clawdspace.capabilities().catch(() => ({ gpu: false }));
    if (!has) continue;
    context.out.note(`(on ${server.name})`);
    return clawdspace;
  }
  throw new CliError("No known server has a GPU.", {
    hint: "`clawdspace servers` lists those that are known.",
  });
}

function given<T extends Record<string, unknown>>(
  values: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as never;
}
