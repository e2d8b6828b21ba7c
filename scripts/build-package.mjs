// `npm run build`, its last part: puts the npm package "clawdspace" together in packages/cli/build/package, ready for
// `npm pack`. Our own code is bundled; the daemon's libraries stay dependencies, those of the command line go in.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { ROOT } from "./setup/sources.mjs";

const OUT = join(ROOT, "packages/cli/build/package");
const DAEMON_ENTRIES = [
  "index",
  "config",
  "engine/docker-engine",
  "network/uninstall",
  "pool/uninstall",
];
const OURS = /^@clawdspace\//;

/** The client has an entry of its own for Node.js. */
const entryOf = (name) => (name.endsWith("/client") ? "dist/node.js" : "dist/index.js");

/** Our packages become part of the bundle where everything else is left to npm. */
const bundleOurs = {
  name: "ours",
  setup({ onResolve }) {
    onResolve({ filter: OURS }, ({ path }) => ({
      path: join(ROOT, "packages", path.replace(OURS, ""), entryOf(path)),
    }));
  },
};
const shared = {
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  logLevel: "warning",
  legalComments: "none",
};
/** Libraries in the older module format ask for Node's own by `require`. */
const REQUIRE =
  'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);';

const readJson = (file) => JSON.parse(readFileSync(join(ROOT, file), "utf8"));
const api = readJson("packages/api/package.json");
const cli = readJson("packages/cli/package.json");

rmSync(OUT, { recursive: true, force: true });
await Promise.all([bundleCli(), bundleClient(), bundleDaemon()]);
copyRest();
writePackageJson();

/** Commands are chunks of their own, loaded when they are asked for. */
async function bundleCli() {
  await build({
    entryPoints: { main: join(ROOT, "packages/cli/dist/main.js") },
    outdir: join(OUT, "dist/cli"),
    splitting: true,
    define: { CLAWDSPACE_VERSION: JSON.stringify(cli.version) },
    banner: { js: REQUIRE },
    ...shared,
    minifySyntax: true,
    minifyWhitespace: true,
  });
  const main = join(OUT, "dist/cli/main.js");
  // Without "--" Node 20 takes an --env-file of ours for its own, wherever it stands.
  writeFileSync(main, `#!/usr/bin/env -S node --\n${readFileSync(main, "utf8")}`);
  // npm does it when it installs, but a folder that is installed as a link may be built anew behind its back.
  chmodSync(main, 0o755);
}

async function bundleClient() {
  await Promise.all(
    [
      ["index", "browser", {}],
      ["node", "node", { external: ["ws", "zod"] }],
    ].map(([name, platform, more]) =>
      build({
        entryPoints: [join(ROOT, `packages/client/dist/${name}.js`)],
        outfile: join(OUT, `dist/client/${name}.js`),
        ...shared,
        platform,
        target: "es2022",
        ...more,
      }),
    ),
  );
  // Types aren't bundled: the client's name the protocol's beside them.
  for (const part of ["client", "protocol"]) {
    const from = join(ROOT, `packages/${part}/dist`);
    mkdirSync(join(OUT, "dist", part), { recursive: true });
    for (const file of readdirSync(from).filter((name) => name.endsWith(".d.ts"))) {
      if (file.includes(".test.")) continue;
      const text = readFileSync(join(from, file), "utf8")
        .replaceAll('"@clawdspace/protocol"', '"../protocol/index.js"')
        .replace(/\n\/\/# sourceMappingURL=.*$/m, "");
      writeFileSync(join(OUT, "dist", part, file), text);
    }
  }
}

/** At the places where the set-up scripts look for it in a clone too. */
async function bundleDaemon() {
  const source = join(ROOT, "packages/api/dist");
  await build({
    entryPoints: DAEMON_ENTRIES.map((name) => join(source, `${name}.js`)),
    outbase: source,
    outdir: join(OUT, "packages/api/dist"),
    splitting: true,
    packages: "external",
    plugins: [bundleOurs],
    ...shared,
  });
  const { version, type } = api;
  writeFileSync(
    join(OUT, "packages/api/package.json"),
    `${JSON.stringify({ name: api.name, version, type, private: true })}\n`,
  );
}

function copyRest() {
  const copy = (path, filter = () => true) =>
    existsSync(join(ROOT, path)) &&
    cpSync(join(ROOT, path), join(OUT, path), { recursive: true, filter });
  copy("docker");
  copy("packages/guest", (file) => !["build", "test", "fuzz"].includes(basename(file)));
  copy("packages/web/dist");
  copy("scripts/start.mjs");
  copy("scripts/setup", (file) => !/\.test\.mjs$|test-/.test(basename(file)));
  copy("README.md");
  copy("LICENSE");
}

function writePackageJson() {
  const { name, version, type, license, description, engines } = cli;
  const dependencies = Object.fromEntries(
    Object.entries({
      ...readJson("packages/client/package.json").dependencies,
      ...api.dependencies,
    })
      .filter(([each]) => !OURS.test(each))
      .sort(),
  );
  const client = {
    types: "./dist/client/index.d.ts",
    node: "./dist/client/node.js",
    default: "./dist/client/index.js",
  };
  const manifest = {
    name,
    version,
    type,
    license,
    description,
    keywords: ["sandbox", "ai", "agents", "docker", "self-hosted"],
    engines,
    bin: { clawdspace: "dist/cli/main.js" },
    exports: { "./client": client, "./package.json": "./package.json" },
    dependencies,
  };
  writeFileSync(join(OUT, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}
