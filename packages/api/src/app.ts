import { randomUUID } from "node:crypto";
import cookie from "@fastify/cookie";
import helmet from "@fastify/helmet";
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import websocket from "@fastify/websocket";
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { auditRequests } from "./http/audit.js";
import { Authenticator, guard } from "./http/auth.js";
import { earlyErrors, handleErrors } from "./http/errors.js";
import { forwardToNodes, readNode } from "./http/forwarding.js";
import { acceptJson } from "./http/json-body.js";
import { measureRequests } from "./http/metrics.js";
import { logRequests } from "./http/request-log.js";
import { PREVIEW_HOST_ROUTE } from "./ports/preview-host.js";
import { auditRoutes } from "./routes/audit.js";
import { dashboardRoutes } from "./routes/dashboard.js";
import { doctorRoutes } from "./routes/doctor.js";
import { eventRoutes } from "./routes/events.js";
import { execRoutes } from "./routes/exec.js";
import { fileRoutes } from "./routes/files.js";
import { archiveRoutes } from "./routes/files-archive.js";
import { rawFileRoutes } from "./routes/files-raw.js";
import { fileSearchRoutes } from "./routes/files-search.js";
import { uploadRoutes } from "./routes/files-upload.js";
import { gitRoutes } from "./routes/git.js";
import { healthRoutes } from "./routes/health.js";
import { keyRoutes } from "./routes/keys.js";
import { mcpRoutes } from "./routes/mcp.js";
import { metricsRoutes } from "./routes/metrics.js";
import { moveRoutes, peerMoveRoutes } from "./routes/moves.js";
import { nodeRoutes } from "./routes/nodes.js";
import { peerRoutes, peerStatusRoutes } from "./routes/peer.js";
import { portRoutes } from "./routes/ports.js";
import { previewRoutes } from "./routes/previews.js";
import { processRoutes } from "./routes/processes.js";
import { proxyRoutes } from "./routes/proxy.js";
import { sessionRoutes } from "./routes/session.js";
import { spaceRoutes } from "./routes/spaces.js";
import { statsRoutes } from "./routes/stats.js";
import { systemRoutes } from "./routes/system.js";
import { templateRoutes } from "./routes/templates.js";
import { terminalRoutes } from "./routes/terminal.js";
import type { Services } from "./services.js";
import { VERSION } from "./version.js";

const BODY_LIMIT_BYTES = 32 * 1024 ** 2;
const MAX_WEBSOCKET_FRAME_BYTES = 1024 ** 2;

/** Pages load what this daemon serves and nothing else. Plain HTTP on a private network must go on working: no upgrade. */
const CSP = {
  defaultSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", "data:", "blob:"],
  fontSrc: ["'self'"],
  connectSrc: ["'self'"],
  frameAncestors: ["'none'"],
  upgradeInsecureRequests: null,
};

/** The HTTP surface over the services, ready to listen or to be injected into. */
export async function buildApp(
  services: Services,
  options: { authDisabled: boolean; logger: FastifyBaseLogger; webDir?: string },
): Promise<FastifyInstance> {
  const app = fastify({
    ...earlyErrors,
    genReqId: () => randomUUID(),
    loggerInstance: options.logger,
    bodyLimit: BODY_LIMIT_BYTES,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: 255 },
    rewriteUrl: ({ url = "/", headers }) =>
      services.previews.hostTarget(headers.host) ? PREVIEW_HOST_ROUTE : url,
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  acceptJson(app);
  handleErrors(app);
  logRequests(app);
  measureRequests(app, services.metrics);
  await app.register(cookie);
  await app.register(helmet, {
    global: true,
    contentSecurityPolicy: { directives: CSP },
    hsts: false,
  });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Clawdspace", version: VERSION },
      components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
      security: [{ key: [] }],
    },
    // A folder's own route is registered with and without its slash; the contract writes it without.
    transform: (route) => {
      const { schema, url } = jsonSchemaTransform(route);
      return { schema, url: url.replace(/(?<=.)\/$/, "") };
    },
    transformObject: jsonSchemaTransformObject,
  });
  await app.register(swaggerUi, { routePrefix: "/api/docs" });
  await app.register(websocket, { options: { maxPayload: MAX_WEBSOCKET_FRAME_BYTES } });
  await app.register(healthRoutes(services), { prefix: "/api" });
  app.get("/api/openapi.json", { schema: { hide: true } }, () => app.swagger());
  auditRequests(app, { recorder: services.recorder, envOf: services.envOf });
  const authenticator = new Authenticator(
    options.authDisabled ? undefined : services.keys,
    services.sessions,
    services.peers,
  );
  const { fleet, whereabouts, forwarder, keys, previews } = services;
  const isKey = (text: string) => keys.verify(text) !== undefined;
  const forwarding = { fleet, whereabouts, forwarder, previews, isKey };
  app.addHook("preClose", async () => forwarder.close());
  await app.register(async (open) => {
    readNode(open);
    forwardToNodes(open, forwarding);
    await open.register(previewRoutes(services, options));
  });
  await app.register(sessionRoutes(authenticator), { prefix: "/api/session" });
  await app.register(peerRoutes(services), { prefix: "/api/peer" });
  await app.register(async (guarded) => {
    readNode(guarded);
    guard(guarded, authenticator);
    forwardToNodes(guarded, forwarding);
    await guarded.register(spaceRoutes(services), { prefix: "/api/spaces" });
    await guarded.register(moveRoutes(services), { prefix: "/api/spaces" });
    await guarded.register(execRoutes(services), { prefix: "/api/spaces" });
    for (const routes of [
      fileRoutes,
      rawFileRoutes,
      archiveRoutes,
      uploadRoutes,
      fileSearchRoutes,
    ]) {
      await guarded.register(routes(services), { prefix: "/api/spaces" });
    }
    await guarded.register(processRoutes(services), { prefix: "/api/spaces" });
    await guarded.register(terminalRoutes(services), { prefix: "/api/spaces" });
    await guarded.register(gitRoutes(services), { prefix: "/api/spaces" });
    await guarded.register(statsRoutes(services), { prefix: "/api/spaces" });
    await guarded.register(portRoutes(services), { prefix: "/api/spaces" });
    await guarded.register(proxyRoutes(services), { prefix: "/api/spaces" });
    await guarded.register(systemRoutes(services), { prefix: "/api/system" });
    await guarded.register(doctorRoutes(services), { prefix: "/api/doctor" });
    await guarded.register(mcpRoutes(options), { prefix: "/mcp" });
    await guarded.register(metricsRoutes(services), { prefix: "/metrics" });
    await guarded.register(auditRoutes(services), { prefix: "/api/audit" });
    await guarded.register(eventRoutes(services), { prefix: "/api/events" });
    await guarded.register(keyRoutes(services.keys), { prefix: "/api/keys" });
    await guarded.register(nodeRoutes(services), { prefix: "/api/nodes" });
    await guarded.register(peerStatusRoutes(services), { prefix: "/api/peer" });
    await guarded.register(peerMoveRoutes(services), { prefix: "/api/peer/moves" });
    await guarded.register(templateRoutes(services), { prefix: "/api/templates" });
  });
  await app.register(dashboardRoutes(options.webDir));
  return app as unknown as FastifyInstance;
}
