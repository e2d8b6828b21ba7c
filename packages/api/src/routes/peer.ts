import {
  ClawdspaceError,
  MessageSchema,
  PEER_PROTOCOL,
  PeerHelloAnswerSchema,
  PeerHelloSchema,
  PeerProofSchema,
  PeerStatusSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { RateLimiterMemory } from "rate-limiter-flexible";
import type { Services } from "../services.js";

const HELLOS_A_MINUTE = 120;

/** Where other nodes prove that they know the key, and this one proves it to them. Needs no key: it is how one shows it. */
export const peerRoutes =
  ({ fleet, peers }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const limit = new RateLimiterMemory({ points: HELLOS_A_MINUTE, duration: 60 });
    app.addHook("onRequest", async (request) => {
      await limit.consume(request.ip).catch(() => {
        throw new ClawdspaceError("rate_limited", "Too many hellos from your address. Wait.", {
          retryAfterSeconds: 60,
        });
      });
    });

    app.post(
      "/hello",
      {
        schema: {
          body: PeerHelloSchema,
          response: { 200: PeerHelloAnswerSchema },
          hide: true,
          security: [],
        },
      },
      async (request) => {
        const { protocol, node, nonce } = request.body;
        const local = (request.socket.localAddress ?? "").replace(/^::ffff:/, "");
        const at = fleet.reachedAt(local);
        const answer = await peers.hello({ node, nonce }, at);
        return protocol === PEER_PROTOCOL ? answer : { ...answer, proof: nonce };
      },
    );

    app.post(
      "/session",
      {
        schema: {
          body: PeerProofSchema,
          response: { 200: MessageSchema },
          hide: true,
          security: [],
        },
      },
      async (request) => {
        fleet.heard(await peers.open(request.body.session, request.body.proof));
        return { message: "You are known now." };
      },
    );
  };

/** What only a node that has proved itself, or an owner, is told. */
export const peerStatusRoutes =
  ({ fleet, nodeStatus }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      "/status",
      { schema: { response: { 200: PeerStatusSchema }, hide: true } },
      async () => ({ ...(await nodeStatus()), node: fleet.name }),
    );
  };
