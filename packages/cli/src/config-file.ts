import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { CliError } from "./failure.js";

export const DEFAULT_URL = "http://localhost:7777";

export interface Profile {
  url: string;
  key?: string;
}

export interface ConfigFile {
  /** The profile that is used where none is named. */
  current?: string;
  profiles: Record<string, Profile>;
}

/** Folders and files of this user, as the environment has them. */
export function paths(environment: NodeJS.ProcessEnv = process.env) {
  const home = environment.HOME || homedir();
  const folder =
    environment.CLAWDSPACE_CONFIG_DIR ||
    join(environment.XDG_CONFIG_HOME || join(home, ".config"), "clawdspace");
  const data =
    environment.CLAWDSPACE_DATA_DIR ||
    join(environment.XDG_DATA_HOME || join(home, ".local/share"), "clawdspace");
  return {
    folder,
    data,
    config: join(folder, "cli.json"),
    /** Kept by a daemon of this user on this machine. */
    daemonKey: join(folder, "api-key"),
    old: join(home, ".clawdspace"),
  };
}

/** The profiles. A missing file holds none; one that can't be read is an error that says what to do. */
export function readConfigFile(file: string): ConfigFile {
  const text = readOptional(file);
  if (text === undefined) return { profiles: {} };
  try {
    const { current, profiles } = JSON.parse(text) as Partial<ConfigFile>;
    const usable = Object.entries(profiles ?? {}).every(([, { url }]) => typeof url === "string");
    if (!usable) throw new Error("a profile has no url");
    return { ...(current ? { current } : {}), profiles: profiles ?? {} };
  } catch (error) {
    throw new CliError(`${file} can't be used: ${(error as Error).message}`, {
      hint: "Correct it, or remove it and set the profiles again.",
    });
  }
}

/** Writes it whole or not at all, for this user's eyes only. */
export function writeConfigFile(file: string, config: ConfigFile): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}

/** What the old shell client kept: a key alone, or lines of NAME=VALUE, in a file or in a folder's `config`. */
export function readOldConfig(path: string): Partial<Profile> {
  const file = isFolder(path) ? join(path, "config") : path;
  const text = readOptional(file)?.trim() ?? (readOptional(join(path, "key"))?.trim() || "");
  if (text === "") return {};
  const found: Partial<Profile> = {};
  for (const line of text.split("\n")) {
    const match = /^\s*(?:export\s+)?([A-Za-z_]+)\s*[=:]\s*(.*?)\s*$/.exec(line);
    const value = match?.[2]?.replace(/^(["'])(.*)\1$/, "$2");
    const name = match?.[1]?.toUpperCase().replace(/^CLAWDSPACE_/, "");
    if (value && ["KEY", "API_KEY", "APIKEY"].includes(name ?? "")) found.key = value;
    if (value && ["URL", "SERVER", "HOST", "BASE_URL"].includes(name ?? "")) found.url = value;
  }
  if (!found.key && !found.url && /^\S+$/.test(text)) found.key = text;
  return found;
}

export function readOptional(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
