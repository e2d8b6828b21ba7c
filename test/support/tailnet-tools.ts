import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, rm, symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const MODULE = resolve(import.meta.dirname, "tailnet");
const PACKAGES = [".", "tailscale.com/cmd/tailscaled"];
/** What would talk to the world outside, and what takes long to compile and has no part in this. */
const LEFT_OUT = [
  ...[
    "acme",
    "appconnectors",
    "aws",
    "bird",
    "captiveportal",
    "clientupdate",
    "cloud",
    "completion",
  ],
  ...[
    "conn25",
    "dbus",
    "debugportmapper",
    "desktop_sessions",
    "doctor",
    "drive",
    "identityfederation",
  ],
  ...["kube", "logtail", "networkmanager", "oauthkey", "portmapper", "posture", "relayserver"],
  ...["resolved", "routecheck", "sdnotify", "serve", "ssh", "synology", "syspolicy", "systray"],
  ...["taildrop", "tap", "tpm", "webbrowser", "webclient"],
];
const TAGS = ["ts_include_cli", ...LEFT_OUT.map((feature) => `ts_omit_${feature}`)].join();
const BUILD_MS = 9 * 60_000;
const FETCH_MS = 3 * 60_000;

/** Where Go is, or why what it is to build can't be had here. */
export async function findGo(): Promise<{ go: string } | { missing: string }> {
  const wanted = /^go (\S+)$/m.exec(readFileSync(join(MODULE, "go.mod"), "utf8"))?.[1] ?? "";
  for (const go of ["go", "/usr/local/go/bin/go"]) {
    const { stdout } = await run(go, ["version"], { env: goEnv() }).catch(() => ({ stdout: "" }));
    const version = /\bgo(\d+\.\d+(?:\.\d+)?)/.exec(stdout)?.[1];
    if (version && version.localeCompare(wanted, "en", { numeric: true }) >= 0) {
      return (await hasSources(go)) ? { go } : { missing: "Tailscale's sources can't be fetched" };
    }
  }
  return { missing: `there is no Go ${wanted} or later on this machine` };
}

/** Whether the sources are there or can be had; a machine may have Go and no way to where its modules come from. */
async function hasSources(go: string): Promise<boolean> {
  const options = { cwd: MODULE, env: goEnv(), timeout: FETCH_MS };
  return await run(go, ["mod", "download", "tailscale.com"], options).then(
    () => true,
    () => false,
  );
}

const goEnv = () => ({
  ...process.env,
  ...{ GOTOOLCHAIN: "local", CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -buildvcs=false" },
});

/**
 * Tailscale's daemon and command, and a tailnet's server, built from their sources once for each version and kept in the user's
 * cache. Returns the folder with `tailscaled`, `tailscale` and `tailnet`.
 */
export async function tailnetTools(go: string): Promise<string> {
  const key = createHash("sha256").update(TAGS);
  for (const file of ["go.mod", "go.sum", "main.go"]) key.update(readFileSync(join(MODULE, file)));
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "clawdspace");
  const folder = join(cache, `tailnet-${key.digest("hex").slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  const draft = `${folder}-${process.pid}`;
  await mkdir(draft, { recursive: true });
  try {
    const args = ["build", "-ldflags", "-s -w", "-tags", TAGS, "-o", `${draft}/`, ...PACKAGES];
    await run("nice", [go, ...args], { cwd: MODULE, env: goEnv(), timeout: BUILD_MS });
    await symlink("tailscaled", join(draft, "tailscale"));
    await rename(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}
