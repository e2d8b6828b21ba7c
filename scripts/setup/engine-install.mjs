import { installPackages } from "./apt.mjs";
import { asRoot } from "./root.mjs";
import { run } from "./run.mjs";

const PACKAGES = ["docker.io", "iptables"];

/**
 * Written only where no daemon.json is yet. Spaces outlive a restart of the engine
 * (`live-restore`), and the addresses Docker uses anyway are cut into 1024 networks, not 31.
 */
const DAEMON_JSON = {
  "live-restore": true,
  "default-address-pools": [{ base: "172.16.0.0/12", size: 22 }],
};

const GUARD = "/usr/sbin/policy-rc.d";
const GUARD_SAVED = "/usr/sbin/policy-rc.d.before-clawdspace";

// The package would start its engine at once, before its configuration is there and by an init
// system that may not be there. The guard keeps back these two services only, while this process
// lives, and asks the machine's own policy for everything else.
const guardScript = (pid) => `#!/bin/sh
case "$1" in
  docker|docker.*|containerd|containerd.*) if kill -0 ${pid} 2>/dev/null; then exit 101; fi ;;
esac
if [ -x ${GUARD_SAVED} ]; then exec ${GUARD_SAVED} "$@"; fi
exit 0
`;

/**
 * Whether Docker may be installed: asked on a terminal, taken for granted where nobody can answer
 * or CLAWDSPACE_YES=1.
 * @param {import("./steps.mjs").StepContext["ask"]} ask
 * @returns {Promise<boolean>}
 */
export async function mayInstall(ask) {
  if (!process.stdin.isTTY || process.env.CLAWDSPACE_YES === "1") return true;
  return ask(`No Docker Engine was found. Install ${PACKAGES.join(" and ")} with apt-get now?`);
}

/**
 * Installs the distribution's engine, not yet started.
 * @param {(text: string) => void} progress
 */
export async function installEngine(progress) {
  await shell(
    `
    if [ -e ${GUARD} ] && [ ! -e ${GUARD_SAVED} ]; then mv ${GUARD} ${GUARD_SAVED}; fi
    cat >${GUARD} && chmod 755 ${GUARD}
    mkdir -p /etc/docker`,
    guardScript(process.pid),
  );
  try {
    await shell(
      "[ -e /etc/docker/daemon.json ] || cat >/etc/docker/daemon.json",
      `${JSON.stringify(DAEMON_JSON, null, 2)}\n`,
    );
    await installPackages(PACKAGES, progress);
  } finally {
    await shell(`
      rm -f ${GUARD}
      if [ -e ${GUARD_SAVED} ]; then mv ${GUARD_SAVED} ${GUARD}; fi`);
  }
}

function shell(script, input = "") {
  return run(asRoot(["sh", "-e", "-c", script]), {
    input,
    what: "preparing Docker's installation",
  });
}
