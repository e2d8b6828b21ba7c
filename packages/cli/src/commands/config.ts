import { statSync } from "node:fs";
import { paths, readConfigFile } from "../config-file.js";
import type { Context } from "../context.js";

export async function run(context: Context): Promise<undefined> {
  const { out } = context;
  const servers = context.servers();
  const { name, url, key, keyFrom } = await context.server();
  const { config, data } = paths(context.environment);
  const { current, profiles } = readConfigFile(config);
  const mode = statSync(config, { throwIfNoEntry: false })?.mode ?? 0o600;
  const open = (mode & 0o077) !== 0;
  const shown =
    key === undefined ? "none" : `${key.slice(0, 4)}… from ${keyFrom ?? "another profile"}`;
  const result = {
    server: { name, url, key: key !== undefined, ...(keyFrom ? { keyFrom } : {}) },
    file: config,
    data,
    current: current ?? null,
    profiles: Object.entries(profiles).map(([profile, each]) => ({
      name: profile,
      url: each.url,
      key: each.key !== undefined,
    })),
  };
  out.result(result, () => {
    const rows = [
      ["Server", `${url} (${name})`],
      ["Key", shown],
      ["Config file", config],
      ["Data here", data],
    ];
    const lines = rows.map(
      ([label = "", value]) => `${out.paint("bold", label.padEnd(13))}${value}`,
    );
    const others = servers
      .configured()
      .map((server) => [
        server.name === name ? `* ${server.name}` : `  ${server.name}`,
        server.url,
        server.key === undefined ? "no key" : `key from ${server.keyFrom}`,
      ]);
    const warning = open ? [out.paint("yellow", `Others can read ${config}: chmod 600 it.`)] : [];
    return [...lines, ...warning, "", out.table(["  PROFILE", "URL", "KEY"], others)].join("\n");
  });
}
