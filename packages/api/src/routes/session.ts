import { ActorSchema, CreateSessionRequestSchema, MessageSchema } from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { type Authenticator, SESSION_COOKIE } from "../http/auth.js";

/** Signing in and out of a browser: the key is traded for a cookie that no script can read. */
export const sessionRoutes =
  (authenticator: Authenticator): FastifyPluginAsyncZod =>
  async (app) => {
    const cookie = { httpOnly: true, sameSite: "strict", path: "/" } as const;

    app.post(
      "/",
      {
        schema: { body: CreateSessionRequestSchema, response: { 200: ActorSchema }, security: [] },
      },
      async (request, reply) => {
        const { actor, keyId } = await authenticator.verify(request, request.body.key);
        const { token, maxAgeSeconds } = await authenticator.sessions.create(keyId);
        reply.setCookie(SESSION_COOKIE, token, {
          ...cookie,
          maxAge: maxAgeSeconds,
          secure: request.protocol === "https",
        });
        return actor;
      },
    );

    app.get("/", { schema: { response: { 200: ActorSchema } } }, (request, reply) =>
      authenticator.authenticate(request, reply),
    );

    app.delete("/", { schema: { response: { 200: MessageSchema } } }, async (_request, reply) => {
      reply.clearCookie(SESSION_COOKIE, cookie);
      return { message: "Signed out" };
    });
  };
