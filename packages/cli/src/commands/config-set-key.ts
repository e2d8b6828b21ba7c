import { DEFAULT_URL, paths, readConfigFile, writeConfigFile } from "../config-file.js";
import type { Context } from "../context.js";
import { usageError } from "../failure.js";
import { firstLine } from "../stdin.js";

export async function run(context: Context, [wanted]: [string | undefined]): Promise<undefined> {
  const { out } = context;
  const file = paths(context.environment).config;
  const config = readConfigFile(file);
  const name = wanted ?? config.current ?? "default";
  const profile = config.profiles[name] ?? (name === "default" ? { url: DEFAULT_URL } : undefined);
  if (!profile) {
    throw usageError(
      `There is no profile "${name}".`,
      "`clawdspace config add NAME URL` adds one.",
    );
  }
  const key = context.pipedKey ?? (await firstLine("the key"));
  config.profiles[name] = { ...profile, key };
  config.current ??= name;
  writeConfigFile(file, config);
  out.result(
    { name, url: profile.url },
    () => `${out.paint("green", "✓")} The key for ${name} is kept in ${file}`,
  );
}
