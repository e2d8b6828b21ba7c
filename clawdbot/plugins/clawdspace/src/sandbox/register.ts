import type { PluginConfig } from "../config.js";
import type { Host } from "../host.js";
import { BACKEND, createBackend } from "./backend.js";
import type { SandboxSdk } from "./seam.js";

/** The host's own module; Clawdbot has none of this name. */
const SDK = "openclaw/plugin-sdk/sandbox";

/** Offers spaces as a sandbox backend, where the host has such a seam and loads the plugin to work. */
export function registerSandboxes(host: Host, config: () => PluginConfig): void {
  if (host.registrationMode !== "full") return;
  const registered = import(SDK).then(
    (sdk: SandboxSdk) => sdk.registerSandboxBackend(BACKEND, createBackend(config)),
    () => undefined,
  );
  host.lifecycle?.registerRuntimeLifecycle({
    id: "clawdspace-sandboxes",
    cleanup: () => void registered.then((unregister) => unregister?.()),
  });
}
