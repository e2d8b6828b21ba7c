import {
  type ConfigFile,
  DEFAULT_URL,
  type Profile,
  paths,
  readConfigFile,
  readOldConfig,
  readOptional,
} from "./config-file.js";
import { usageError } from "./failure.js";

/** A daemon that may be asked. */
export interface Server {
  name: string;
  url: string;
  key?: string;
  /** Where the key is from, to be told where it is wrong. */
  keyFrom?: string;
}

export interface ServerChoice {
  /** An address, a profile's name or a node's. */
  server?: string | undefined;
  profile?: string | undefined;
  /** The key that was piped in. */
  key?: string | undefined;
}

/** "host", "host:7777" and "https://host/" as addresses; undefined for a name. */
export function toUrl(text: string): string | undefined {
  if (/^https?:\/\//.test(text)) return text.replace(/\/+$/, "");
  if (/^(localhost|[^/\s]+\.[^/\s]+|[^/\s]+:\d+|\[[0-9a-f:]+\])(:\d+)?$/i.test(text)) {
    return `http://${text}${/:\d+$/.test(text) ? "" : ":7777"}`;
  }
  return undefined;
}

/** As `toUrl`. Throws a usage error for what is no address. */
export function toAddress(text: string): string {
  const url = toUrl(text);
  if (url !== undefined && URL.canParse(url)) return url;
  throw usageError(`"${text}" is no address.`, "Write it as http://host:7777 or host:7777.");
}

/** Which servers this user has, and with which keys; reads the environment and files, asks nobody. */
export class Servers {
  readonly #files: ReturnType<typeof paths>;
  readonly #config: ConfigFile;
  readonly #old: Partial<Profile>;

  constructor(
    private readonly choice: ServerChoice,
    private readonly environment: NodeJS.ProcessEnv,
  ) {
    this.#files = paths(environment);
    this.#config = readConfigFile(this.#files.config);
    this.#old = readOldConfig(this.#files.old);
  }

  /** The one that is asked first. */
  chosen(): Server {
    const { server, profile } = this.choice;
    if (server !== undefined) return this.named(server) ?? this.#unknown(server);
    const name = profile ?? this.environment.CLAWDSPACE_PROFILE ?? this.#config.current;
    const url = this.environment.CLAWDSPACE_SERVER ?? this.environment.CLAWDSPACE_URL;
    if (profile === undefined && url) return this.#at(toAddress(url), url);
    if (name !== undefined) return this.#profile(name) ?? this.#unknown(name);
    return this.#profile("default") ?? this.#at(this.#ownUrl(), "default");
  }

  /** All that are configured, the chosen one first. */
  configured(): Server[] {
    const chosen = this.chosen();
    const others = Object.keys(this.#config.profiles).map((name) => this.#profile(name));
    const all = [chosen, ...others.filter((server) => server !== undefined)];
    return all.filter(({ url }, index) => all.findIndex((each) => each.url === url) === index);
  }

  named(name: string): Server | undefined {
    const profile = this.#profile(name);
    if (profile) return profile;
    return toUrl(name) === undefined ? undefined : this.#at(toAddress(name), name);
  }

  /** A node that a server told of: reached with the key of its own profile, or else with that server's. */
  node(name: string, url: string, from: Server): Server {
    const own = this.#at(url, name);
    return own.key === undefined && from.key !== undefined ? { ...own, key: from.key } : own;
  }

  #profile(name: string): Server | undefined {
    const profile = this.#config.profiles[name];
    return profile && this.#withKey({ name, url: profile.url }, profile);
  }

  #at(url: string, name: string): Server {
    const [known] = Object.entries(this.#config.profiles).filter((each) => each[1].url === url);
    return this.#withKey({ name: known?.[0] ?? name, url }, known?.[1]);
  }

  #withKey(server: Server, profile: Profile | undefined): Server {
    const found = this.#keyFor(server.url, profile);
    return found ? { ...server, key: found[0], keyFrom: found[1] } : server;
  }

  #keyFor(url: string, profile: Profile | undefined): [string, string] | undefined {
    if (this.choice.key !== undefined) return [this.choice.key, "--key-stdin"];
    const { CLAWDSPACE_KEY } = this.environment;
    if (CLAWDSPACE_KEY) return [CLAWDSPACE_KEY, "CLAWDSPACE_KEY"];
    if (profile?.key) return [profile.key, this.#files.config];
    const { old, daemonKey } = this.#files;
    if (this.#old.key && (this.#old.url === undefined || toUrl(this.#old.url) === url)) {
      return [this.#old.key, old];
    }
    // A local daemon's key goes to this machine only.
    const { hostname } = new URL(url);
    if (!["localhost", "127.0.0.1", "[::1]"].includes(hostname)) return undefined;
    const kept = readOptional(daemonKey)?.trim();
    return kept ? [kept, daemonKey] : undefined;
  }

  #ownUrl(): string {
    if (this.#old.url) return toUrl(this.#old.url) ?? this.#old.url;
    const { PORT } = this.environment;
    return PORT && /^\d+$/.test(PORT) ? `http://localhost:${PORT}` : DEFAULT_URL;
  }

  #unknown(name: string): never {
    const known = Object.keys(this.#config.profiles);
    throw usageError(
      `There is no server "${name}".`,
      `Name an address, or one of: ${known.join(", ") || "(no profiles yet)"}. \`clawdspace config add NAME URL\` adds one.`,
    );
  }
}
