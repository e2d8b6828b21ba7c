// `npm run build`, for the agents' hosts: puts the plugin together in clawdbot/plugins/clawdspace/build/package, with the
// client bundled, so that a host installs a folder, or its tarball, that needs nothing else.
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { ROOT } from "./setup/sources.mjs";

const PLUGIN = join(ROOT, "clawdbot/plugins/clawdspace");
const OUT = join(PLUGIN, "build/package");
/** Libraries in the older module format ask for Node's own by `require`. */
const REQUIRE =
  'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);';

rmSync(OUT, { recursive: true, force: true });
await build({
  // The second one is the process that a sandboxed agent's command is on the host.
  entryPoints: { index: join(PLUGIN, "dist/index.js"), exec: join(PLUGIN, "dist/exec/main.js") },
  outdir: join(OUT, "dist"),
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  banner: { js: REQUIRE },
  legalComments: "none",
  logLevel: "warning",
});
for (const each of ["clawdbot.plugin.json", "openclaw.plugin.json", "skills"]) {
  cpSync(join(PLUGIN, each), join(OUT, each), { recursive: true });
}
const { version, license, description } = JSON.parse(
  readFileSync(join(PLUGIN, "package.json"), "utf8"),
);
const manifest = {
  // Clawdbot takes the plugin's id from the package's name.
  name: "clawdspace",
  version,
  type: "module",
  license,
  description,
  files: ["dist", "skills", "openclaw.plugin.json", "clawdbot.plugin.json"],
  clawdbot: { extensions: ["./dist/index.js"] },
  openclaw: {
    extensions: ["./dist/index.js"],
    compat: { pluginApi: ">=2026.3.24", minGatewayVersion: "2026.3.24" },
    build: { openclawVersion: "2026.9.6", pluginSdkVersion: "2026.9.6" },
  },
  peerDependencies: { openclaw: ">=2026.3.24" },
  peerDependenciesMeta: { openclaw: { optional: true } },
};
writeFileSync(join(OUT, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
