import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const require = createRequire(import.meta.url);
const ROOT = resolve(import.meta.dirname, "../../node_modules");
/** The last Vite that runs on the Node.js that the sandbox image has, under a name of its own beside the tests' own one. */
const VITE = dirname(require.resolve("vite-on-node-18/package.json"));

interface Manifest {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

/** A gzipped tar of `node_modules` with Vite and what it needs, as installed here, for a space without network. */
export async function viteArchive(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "clawdspace-vite-"));
  try {
    await copyPackage("vite", VITE, join(folder, "node_modules"));
    const options = { encoding: "buffer", maxBuffer: 64 * 1024 ** 2 } as const;
    const tar = await promisify(execFile)(
      "tar",
      ["czf", "-", "-C", folder, "node_modules"],
      options,
    );
    return tar.stdout;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Copies a package and, beside it, those that it depends on; nothing is there twice since their versions agree. */
async function copyPackage(name: string, from: string, to: string): Promise<void> {
  const target = join(to, name);
  if (existsSync(target)) return;
  await mkdir(dirname(target), { recursive: true });
  await cp(from, target, {
    recursive: true,
    dereference: true,
    filter: (path) => !path.slice(from.length).includes("node_modules"),
  });
  const manifest: Manifest = JSON.parse(await readFile(join(from, "package.json"), "utf8"));
  for (const each of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
    // Binaries for other platforms are not here, and not needed.
    const found = find(each, from);
    if (found) await copyPackage(each, found, to);
  }
}

/** Where Node.js would find a package from inside another. */
function find(name: string, from: string): string | undefined {
  for (let folder = from; folder.startsWith(ROOT); folder = dirname(folder)) {
    const at = join(folder, "node_modules", name);
    if (existsSync(at)) return at;
  }
  return existsSync(join(ROOT, name)) ? join(ROOT, name) : undefined;
}
