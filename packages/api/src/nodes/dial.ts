import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

const CONNECT_MS = 3000;

/**
 * Opens a connection to a node, by way of an HTTP proxy where `proxy` is set: without an interface of its own Tailscale lets others
 * into the tailnet by such a one only. Rejects where that takes longer than three seconds; the signal ends it, also later.
 */
export async function dial(
  url: string,
  proxy: string | undefined,
  signal?: AbortSignal,
): Promise<Socket> {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  const secure = protocol === "https:";
  const at = { host, port: Number(port || (secure ? 443 : 80)) };
  const late = AbortSignal.timeout(CONNECT_MS);
  const through =
    proxy === undefined ? undefined : await tunnel(proxy, `${hostname}:${at.port}`, late);
  const socket = secure
    ? connectTls({ ...at, servername: host, ...(through ? { socket: through } : {}) })
    : (through ?? connect(at));
  const end = () => socket.destroy(new Error("no answer in time"));
  late.addEventListener("abort", end, { once: true });
  try {
    if (secure) await once(socket, "secureConnect", { signal });
    else if (!through) await once(socket, "connect", { signal });
    socket.setNoDelay(true);
    signal?.addEventListener("abort", () => socket.destroy(), { once: true });
    signal?.throwIfAborted();
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    late.removeEventListener("abort", end);
  }
}

/** A connection through an HTTP proxy to where `path`, "host:port", says. */
async function tunnel(proxy: string, path: string, signal: AbortSignal): Promise<Socket> {
  const asked = request(proxy, { method: "CONNECT", path, signal }).end();
  const answered = Promise.race([once(asked, "connect"), once(asked, "response")]);
  const [answer, socket] = (await answered) as [IncomingMessage, Socket | undefined];
  if (socket && answer.statusCode === 200) return socket;
  asked.destroy();
  throw new Error(`the proxy ${proxy} answers ${answer.statusCode} ${answer.statusMessage}`);
}
