import { rooted } from "../args.js";
import type { Context } from "../context.js";
import { usageError } from "../failure.js";
import { firstLine } from "../stdin.js";

interface Options {
  tokenStdin?: boolean;
  repo?: string;
  remote?: string;
  branch?: string;
}

export async function run(context: Context, [name]: [string], options: Options): Promise<number> {
  if (!options.tokenStdin) {
    throw usageError(
      "git push needs a token.",
      "Pipe it in: gh auth token | clawdspace git push NAME --token-stdin",
    );
  }
  const token = await firstLine("the token");
  const space = await context.space(name);
  const result = await space.git.push(
    {
      repoPath: rooted(options.repo ?? "/repo"),
      token,
      ...(options.remote === undefined ? {} : { remote: options.remote }),
      ...(options.branch === undefined ? {} : { branch: options.branch }),
    },
    { signal: context.signal },
  );
  context.out.result(result, () => {
    process.stderr.write(result.stderr);
    return result.stdout;
  });
  return result.exitCode;
}
