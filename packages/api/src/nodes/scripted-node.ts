import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { PeerHelloSchema, PeerProofSchema } from "@clawdspace/protocol";
import { pino } from "pino";
import { Fleet } from "./fleet.js";
import { PEER_HEADER } from "./peer-link.js";
import { PeerSessions } from "./peer-sessions.js";
import { peerSecret } from "./proof.js";
import type { Machine } from "./tailscale.js";
import { Whereabouts } from "./whereabouts.js";

const servers: Server[] = [];
const fleets: Fleet[] = [];
/** Ends what the functions here have started. */
export async function stopAll(): Promise<void> {
  for (const fleet of fleets.splice(0)) await fleet.stop();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
}

/** Serves on a port of its own; resolves to its address. */
export async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const status = {
  version: "0.1.0",
  capabilities: { gpu: false, arch: "x64", platform: "linux", cpus: 2, memory: 4e9 },
  load: {
    ...{ memoryFree: 2e9, cpusFree: 1, spaces: 0, drained: false },
    ...{ runtimes: ["runc"], images: [], labels: {}, gpus: [] },
  },
  spaces: [],
};

/** What a node serves to others, as `routes/peer.ts` does it, with no spaces. It can be made to fail. */
export async function node(name: string, key: string) {
  const secret = peerSecret(key);
  const peers = new PeerSessions(
    () => secret,
    () => name,
  );
  const asked: string[] = [];
  let mode: "up" | "down" | "hung" | "dripping" = "up";
  const url = await serve(async (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (mode === "down") return request.socket.destroy();
    if (mode === "hung") return;
    if (mode === "dripping") {
      const timer = setInterval(() => response.write(" "), 100);
      return response.on("close", () => clearInterval(timer));
    }
    let text = "";
    for await (const piece of request) text += piece;
    const answer = async () => {
      if (request.url === "/api/peer/hello") {
        return await peers.hello(PeerHelloSchema.parse(JSON.parse(text)), "127.0.0.1");
      }
      if (request.url === "/api/peer/session") {
        const { session, proof } = PeerProofSchema.parse(JSON.parse(text));
        return { message: await peers.open(session, proof) };
      }
      const path = request.url ?? "";
      await peers.verify(`${request.headers[PEER_HEADER]}`, { method: "GET", path });
      if (path === "/api/spaces") return { spaces: [] };
      return { ...status, node: name };
    };
    const body = await answer().catch((error: unknown) => error);
    response.statusCode = body instanceof Error ? 401 : 200;
    response.end(JSON.stringify(body));
  });
  const become = (wanted: typeof mode) => {
    mode = wanted;
  };
  return { url, peers, asked, become };
}

/** A fleet as another node sees it; what becomes of the machines is found at the next look. */
export function fleetOf(
  machines: Partial<Machine>[],
  {
    key = "shared",
    instance = "me",
    refreshMs = 0,
    spaces = [] as string[],
    proxy = undefined as string | undefined,
  } = {},
) {
  const changes: string[] = [];
  const secret = peerSecret(key);
  const fleet = new Fleet({
    refreshMs,
    discover: async () => ({
      machines: machines.map((each) => ({
        name: "x",
        url: "",
        self: false,
        online: true,
        ...each,
      })),
    }),
    name: "near",
    url: "http://127.0.0.1:1",
    proxy,
    secret: () => secret,
    instance,
    status: async () => status,
    onChange: ({ node, online }) => changes.push(`${node} ${online ? "up" : "down"}`),
    log: pino({ level: "silent" }),
  });
  fleets.push(fleet);
  const registry = { peek: (name: string) => (spaces.includes(name) ? {} : undefined) };
  const whereabouts = new Whereabouts(fleet, registry as never);
  const states = () => fleet.list().nodes.map(({ name, state }) => `${name} ${state}`);
  return { fleet, changes, states, whereabouts };
}
