import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { isIPv6, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { promisify } from "node:util";
import type { FastifyInstance } from "fastify";

const IDLE_CHECK_MS = 50;
const LOOPBACK = "127.0.0.1";
const TAILSCALE_INTERFACE = /^tailscale\d+$/;

/**
 * The addresses to serve at: those asked for, else the loopback and the Tailscale address where there is one. Without
 * authentication only the loopback, unless serving others was asked for too.
 * Throws an `Error` that says what to set.
 */
export function addressesOf(config: {
  host: string | undefined;
  authDisabled: boolean;
  insecureBind: boolean;
}): string[] {
  const asked = config.host?.split(",").map((address) => address.trim());
  if (config.authDisabled && !config.insecureBind) {
    const open = asked?.find(
      (address) => address !== "localhost" && address !== "::1" && !address.startsWith("127."),
    );
    if (open === undefined) return asked ?? [LOOPBACK];
    throw new Error(
      `HOST is ${open} and CLAWDSPACE_AUTH_DISABLED is on: anybody who reaches that address would own this machine. Leave HOST out, or set CLAWDSPACE_INSECURE_BIND=true if you mean it.`,
    );
  }
  return asked ?? [LOOPBACK, ...tailscaleAddresses()];
}

function tailscaleAddresses(): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    TAILSCALE_INTERFACE.test(name)
      ? (addresses ?? []).filter(({ family }) => family === "IPv4").map(({ address }) => address)
      : [],
  );
}

/**
 * Serves an app at every address, on one port. Returns the URL of the first. All of them end with the app: what is in
 * flight is answered, and a connection ends with its answer.
 */
export async function listen(
  app: FastifyInstance,
  port: number,
  addresses: string[],
): Promise<string> {
  const [first = LOOPBACK, ...others] = addresses;
  const servers = [app.server];
  const silent = new Set<Socket>();
  const watch = (server: Server) => {
    server.on("connection", (socket) => {
      silent.add(socket);
      socket.once("close", () => silent.delete(socket));
    });
    for (const event of ["request", "upgrade"]) {
      server.prependListener(event, ({ socket }: IncomingMessage) => silent.delete(socket));
    }
  };
  watch(app.server);
  app.addHook("preClose", async () => {
    // A connection that is kept alive would otherwise wait for its client's next request.
    const closing = setInterval(() => {
      for (const server of servers) server.closeIdleConnections();
      // Nor for its first one: browsers connect ahead of need, which isn't idle to Node.
      for (const socket of silent) socket.destroy();
    }, IDLE_CHECK_MS);
    app.server.once("close", () => clearInterval(closing));
    await Promise.all(servers.slice(1).map((server) => promisify(server.close).call(server)));
  });
  await app.listen({ port, host: first });
  const bound = app.server.address();
  const actual = typeof bound === "object" && bound ? bound.port : port;
  for (const host of others) {
    const server = createServer((request, response) => app.routing(request, response));
    watch(server);
    server.on("upgrade", (...upgrade) => app.server.emit("upgrade", ...upgrade));
    server.listen(actual, host);
    await once(server, "listening");
    servers.push(server);
  }
  return `http://${isIPv6(first) ? `[${first}]` : first}:${actual}`;
}
