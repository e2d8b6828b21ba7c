import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { promisify } from "node:util";
import type { Daemon } from "./daemon.js";

const ROOT = resolve(import.meta.dirname, "../..");
const PACKAGE = join(ROOT, "packages/cli/build/package");
const CACHE = join(ROOT, "node_modules/.cache/clawdspace");
const run = promisify(execFile);

/** The npm package as a person has it: packed, and installed from the tarball with its dependencies from the registry. */
export async function installPackage(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "clawdspace-pack-"));
  try {
    const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], {
      cwd: PACKAGE,
    });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    const tarball = join(folder, filename);
    const hash = createHash("sha256").update(readFileSync(tarball)).digest("hex").slice(0, 16);
    const installed = join(CACHE, `installed-${hash}`);
    if (existsSync(installed)) return join(installed, "node_modules/clawdspace");
    const draft = join(CACHE, `installing-${process.pid}`);
    await mkdir(draft, { recursive: true });
    for (const old of await readdir(CACHE)) {
      if (old.startsWith("installed-")) await rm(join(CACHE, old), { recursive: true });
    }
    await writeFile(join(draft, "package.json"), '{"private": true}');
    await run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error", tarball], {
      cwd: draft,
    });
    await rename(draft, installed);
    return join(installed, "node_modules/clawdspace");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  bytes: Buffer;
}

/** The installed command line of somebody with a home folder of their own. */
export class Cli {
  private constructor(
    readonly root: string,
    readonly home: string,
    readonly env: Record<string, string>,
  ) {}

  /** @param daemon the one it asks, with the key in the environment */
  static async of(daemon: Daemon): Promise<Cli> {
    const root = await installPackage();
    const home = await mkdtemp(join(tmpdir(), "clawdspace-home-"));
    return new Cli(root, home, {
      PATH: process.env.PATH ?? "",
      HOME: home,
      LANG: "C.UTF-8",
      CLAWDSPACE_SERVER: daemon.url,
      CLAWDSPACE_KEY: daemon.key,
    });
  }

  get main(): string {
    return join(this.root, "dist/cli/main.js");
  }

  /** Runs it to its end, whatever its exit code is. */
  async run(
    args: string[],
    options: { input?: string | Buffer; env?: Record<string, string>; cwd?: string } = {},
  ): Promise<Ran> {
    const child = spawn(this.main, args, {
      env: { ...this.env, ...options.env },
      cwd: options.cwd ?? this.home,
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    const [{ stdin }, { stdout, stderr }] = [child, child];
    if (stdin) stdin.on("error", () => {}).end(options.input);
    if (!stdout || !stderr) throw new Error("no pipes");
    const code = new Promise<number>((done) => child.once("close", (each) => done(each ?? -1)));
    const [bytes, errors] = await Promise.all([buffer(stdout), text(stderr)]);
    return { code: await code, stdout: bytes.toString(), stderr: errors, bytes };
  }

  /** As `run`, for what must succeed: its stdout. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args);
    if (code !== 0) throw new Error(`clawdspace ${args.join(" ")}: ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** What `-o json` says. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, and assert what they find
  async json(...args: string[]): Promise<any> {
    return JSON.parse(await this.ok("-o", "json", ...args));
  }

  async remove(): Promise<void> {
    await rm(this.home, { recursive: true, force: true });
  }
}
