import { ClawdspaceError, NodeNameSchema } from "@clawdspace/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Fleet } from "../nodes/fleet.js";
import {
  type NodeForwarder,
  PASSED_HEADER,
  type PassedAnswer,
  type Passing,
} from "../nodes/node-forwarder.js";
import type { Peer } from "../nodes/peer.js";
import type { Whereabouts } from "../nodes/whereabouts.js";
import { PREVIEW_HOST_ROUTE } from "../ports/preview-host.js";
import type { Previews } from "../ports/previews.js";
import { pairs } from "../ports/request-headers.js";
import { SESSION_COOKIE } from "./auth.js";
import { disconnectSignal } from "./disconnect.js";

/** A body up to this size is taken whole, so that it can be sent again to a node that was restarted meanwhile. */
const WHOLE_BYTES = 256 * 1024;
/** Routes whose query belongs to the program in the space. */
const FOREIGN_QUERY = /^\/api\/spaces\/:name\/(?:proxy|preview)\//;
/** Routes that speak of this very node, or look after the others themselves. */
const OWN = /^\/api\/(?:nodes|peer)(?:\/|$)/;
const SPACE = "/api/spaces/:name";
/** Told to another node that has taken this one for the one that has the space. */
const ABSENT_HEADER = "x-clawdspace-absent";
const SPACE_SEGMENT = /^(\/api\/spaces\/)[^/?]+/;

declare module "fastify" {
  interface FastifyRequest {
    /** The node that the request names, as NAME@NODE or by ?node=. */
    node?: string | undefined;
  }
}

interface Parts {
  fleet: Fleet;
  whereabouts: Whereabouts;
  forwarder: NodeForwarder;
  previews: Pick<Previews, "hostTarget" | "spaceOf">;
  isKey: (text: string) => boolean;
}

/** Reads which node a request is for, and takes that from the space's name. To be added before whatever looks at the name. */
export function readNode(app: FastifyInstance): void {
  app.addHook("onRequest", (request, _reply, done) => {
    const { url = "" } = request.routeOptions;
    const params = request.params as { name?: string };
    const { node } = request.query as { node?: unknown };
    const asked = url.startsWith("/api/") && !FOREIGN_QUERY.test(url) ? node : undefined;
    if (typeof asked === "string" && asked !== "all") request.node = asked;
    const at = url.startsWith(SPACE) ? (params.name?.indexOf("@") ?? -1) : -1;
    if (at >= 0) {
      request.node = params.name?.slice(at + 1);
      params.name = params.name?.slice(0, at) ?? "";
    }
    done();
  });
}

/**
 * Passes on what is for another node: one that the request names, or the one that has the space. What is for this node goes its
 * way after a look-up in memory. To be added behind the guard.
 */
export function forwardToNodes(app: FastifyInstance, parts: Parts): void {
  const early = new WeakMap<FastifyRequest["raw"], Buffer>();
  app.server.prependListener("upgrade", (raw, _socket, head) => early.set(raw, head));
  app.addHook("onRequest", (request, reply, done) => {
    // What another node has passed on is for this one.
    if (request.peer || request.headers[PASSED_HEADER] !== undefined) {
      const { name } = request.params as { name?: string };
      const { url } = request.routeOptions;
      if (request.peer && name !== undefined && url?.startsWith(SPACE)) {
        if (!parts.whereabouts.isHere(name)) reply.header(ABSENT_HEADER, "space");
      }
      return done();
    }
    let target: Peer | undefined | Promise<Peer | undefined>;
    try {
      target = targetOf(request, parts);
    } catch (error) {
      return done(error as Error);
    }
    if (target === undefined) return done();
    void Promise.resolve(target)
      .then(async (peer) => {
        if (peer) await forward(request, reply, peer, parts, early.get(request.raw));
      })
      .then(() => done(), done);
  });
}

function targetOf(request: FastifyRequest, parts: Parts) {
  const { fleet, whereabouts } = parts;
  const { url = "" } = request.routeOptions;
  if (url === PREVIEW_HOST_ROUTE) return byHost(request.headers.host, parts);
  if (OWN.test(url)) return undefined;
  if (request.node !== undefined) {
    if (NodeNameSchema.safeParse(request.node).success) return fleet.wanted(request.node);
    throw new ClawdspaceError("invalid_request", `"${request.node}" is no name of a node.`);
  }
  const { name } = request.params as { name?: string };
  if (name === undefined || !url.startsWith(SPACE)) return undefined;
  return whereabouts.locate(name);
}

/** The node that has the space of a preview's own host, unless this one has one of that name. */
async function byHost(host: string | undefined, { previews, whereabouts }: Parts) {
  const target = previews.hostTarget(host);
  if (target === undefined || target === "none") return undefined;
  const { hostPart } = target;
  const name = (await previews.spaceOf(hostPart)) ?? whereabouts.namedAs(hostPart);
  return name === undefined || whereabouts.isHere(name) ? undefined : whereabouts.locate(name);
}

async function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  peer: Peer,
  { fleet, whereabouts, forwarder, isKey }: Parts,
  early: Buffer | undefined,
): Promise<void> {
  const { raw: response } = reply;
  const incoming = request.raw;
  const { name } = request.params as { name?: string };
  const signal = disconnectSignal(reply);
  const passing: Passing = {
    method: request.method,
    path: toPath(request, isKey),
    headers: toHeaders(request, isKey),
    body: await bodyOf(request),
    identity: request.actor && {
      actor: request.actor,
      from: request.ip,
      header: request.headers.authorization !== undefined,
    },
  };
  if (request.ws && early) {
    const carry = await forwarder.upgrade(peer, passing, { incoming, response, early }, signal);
    reply.hijack();
    return await carry();
  }
  let answer = await forwarder.send(peer, passing, signal);
  if (name !== undefined && isAbsent(answer)) {
    // It was moved or removed since that node was last asked. Until somebody reads the answer, nobody hears what breaks it.
    answer.body.on("error", () => {});
    fleet.learn(peer, name, false);
    const again = passing.body === undefined || Buffer.isBuffer(passing.body);
    const other = request.node === undefined && again ? await whereabouts.locate(name) : undefined;
    if (other && other !== peer) {
      answer.body.destroy();
      answer = await forwarder.send(other, passing, signal);
    }
  }
  const { url } = request.routeOptions;
  if (name !== undefined && request.method === "DELETE" && url === SPACE && answer.status < 300) {
    fleet.learn(peer, name, false);
  }
  reply.hijack();
  await forwarder.relay(peer, answer, response);
}

const isAbsent = ({ headers }: PassedAnswer) =>
  [...pairs(headers)].some(([name]) => name.toLowerCase() === ABSENT_HEADER);

/** What is asked for, without the node's name, and without what opens this node. */
function toPath(request: FastifyRequest, isKey: Parts["isKey"]): string {
  const { url = "" } = request.routeOptions;
  const { name } = request.params as { name?: string };
  const [path = "", ...rest] = request.originalUrl.split("?");
  const foreign = FOREIGN_QUERY.test(url) || url === PREVIEW_HOST_ROUTE;
  const query = rest
    .join("?")
    .split("&")
    .filter((parameter) => {
      const [[key, value] = ["", ""]] = new URLSearchParams(parameter);
      return !(parameter === "" || (key === "key" && isKey(value)) || (key === "node" && !foreign));
    })
    .join("&");
  const at = name !== undefined && url.startsWith(SPACE) ? encodeURIComponent(name) : undefined;
  const target = at === undefined ? path : path.replace(SPACE_SEGMENT, `$1${at}`);
  return query ? `${target}?${query}` : target;
}

function toHeaders(request: FastifyRequest, isKey: Parts["isKey"]): string[] {
  return [...pairs(request.raw.rawHeaders)].flatMap(([name, value]) => {
    const key = name.toLowerCase();
    if (key === "authorization" && isKey(value.replace(/^bearer\s+/i, "").trim())) return [];
    if (key !== "cookie") return [name, value];
    const kept = value.split(";").filter((each) => each.trim().split("=")[0] !== SESSION_COOKIE);
    return kept.length > 0 ? [name, kept.join(";").trim()] : [];
  });
}

async function bodyOf({ raw, headers, ws }: FastifyRequest): Promise<Passing["body"]> {
  const length = Number(headers["content-length"] ?? 0);
  if (ws || (headers["transfer-encoding"] === undefined && length === 0)) return undefined;
  if (headers["transfer-encoding"] !== undefined || length > WHOLE_BYTES) return raw;
  const pieces: Buffer[] = [];
  for await (const piece of raw) pieces.push(piece);
  return Buffer.concat(pieces);
}
