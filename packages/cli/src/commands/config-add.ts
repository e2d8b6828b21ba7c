import { paths, readConfigFile, writeConfigFile } from "../config-file.js";
import type { Context } from "../context.js";
import { toAddress } from "../servers.js";

export async function run(context: Context, [name, text]: [string, string]): Promise<undefined> {
  const { out } = context;
  const url = toAddress(text);
  const file = paths(context.environment).config;
  const config = readConfigFile(file);
  const key = context.pipedKey ?? config.profiles[name]?.key;
  config.profiles[name] = { url, ...(key === undefined ? {} : { key }) };
  config.current ??= name;
  writeConfigFile(file, config);
  out.result({ name, url, key: key !== undefined, current: config.current }, () => {
    const how = key === undefined ? `\nIts key: clawdspace config set-key ${name} < keyfile` : "";
    return `${out.paint("green", "✓")} ${name} is ${url}${how}`;
  });
}
