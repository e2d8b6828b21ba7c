import { paths, readConfigFile, writeConfigFile } from "../config-file.js";
import type { Context } from "../context.js";
import { usageError } from "../failure.js";

export async function run(context: Context, [name]: [string]): Promise<undefined> {
  const { out } = context;
  const file = paths(context.environment).config;
  const config = readConfigFile(file);
  if (!config.profiles[name]) throw usageError(`There is no profile "${name}".`);
  delete config.profiles[name];
  if (config.current === name) delete config.current;
  writeConfigFile(file, config);
  out.result({ name }, () => `${out.paint("green", "✓")} ${name} is forgotten`);
}
