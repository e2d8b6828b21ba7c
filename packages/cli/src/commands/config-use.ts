import { paths, readConfigFile, writeConfigFile } from "../config-file.js";
import type { Context } from "../context.js";
import { usageError } from "../failure.js";

export async function run(context: Context, [name]: [string]): Promise<undefined> {
  const { out } = context;
  const file = paths(context.environment).config;
  const config = readConfigFile(file);
  const profile = config.profiles[name];
  if (!profile) {
    throw usageError(
      `There is no profile "${name}".`,
      "`clawdspace config add NAME URL` adds one.",
    );
  }
  writeConfigFile(file, { ...config, current: name });
  out.result(
    { current: name },
    () => `${out.paint("green", "✓")} ${profile.url} is asked from now on`,
  );
}
