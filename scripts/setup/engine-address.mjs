import { join } from "node:path";
import { SetupError } from "./setup-error.mjs";

/**
 * The sockets where an engine may listen, the likeliest first.
 * @param {{ runtimeDir?: string, home?: string }} user XDG_RUNTIME_DIR and HOME
 * @returns {string[]} addresses in the form of DOCKER_HOST
 */
export function knownSockets({ runtimeDir, home }) {
  const sockets = ["/var/run/docker.sock"];
  if (runtimeDir) sockets.push(join(runtimeDir, "docker.sock"));
  sockets.push("/run/podman/podman.sock");
  if (runtimeDir) sockets.push(join(runtimeDir, "podman/podman.sock"));
  if (home) sockets.push(join(home, ".docker/run/docker.sock"));
  return sockets.map((path) => `unix://${path}`);
}

/**
 * Turns a DOCKER_HOST into the options `node:http`'s request takes.
 * @param {string} address unix:///path, a bare socket path, or tcp://host:port
 * @returns {{ socketPath: string } | { host: string, port: number }}
 * @throws {SetupError} for what names no transport that can be spoken
 */
export function connectionOptions(address) {
  if (address.startsWith("/")) return { socketPath: address };
  if (address.startsWith("unix:///")) return { socketPath: address.slice("unix://".length) };
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url && ["tcp:", "http:"].includes(url.protocol) && url.hostname !== "" && url.port !== "") {
    return { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port) };
  }
  throw new SetupError(
    `DOCKER_HOST is "${address}", which names no engine that can be spoken to: give ` +
      "unix:///path/to/docker.sock, a socket's path, or tcp://host:port. An engine behind ssh or " +
      "TLS is reached by forwarding its socket: " +
      "ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock user@host",
  );
}
