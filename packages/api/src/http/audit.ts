import { ERROR_STATUS, type ErrorCode } from "@clawdspace/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from "fastify";
import { secretsOf } from "../audit/mask.js";
import type { Operation, OperationStart, Outcome, Recorder } from "../audit/recorder.js";
import { AUDITED, type AuditRule } from "./audited.js";

type Rule = Exclude<AuditRule, { nothing: string }>;

declare module "fastify" {
  interface FastifyRequest {
    /** What the audit log will tell of the request; undefined where that is nothing. */
    audit?: RequestAudit | undefined;
  }
}

interface Parts {
  recorder: Pick<Recorder, "begin" | "append">;
  /** The environment that a space's processes get: its values are secrets. */
  envOf(space: string): Promise<Record<string, string>>;
}

/** The lines that end a streamed answer. */
const LAST_LINES: unknown[] = ["exit", "space", "done", "error"];

/** One request on its way into the audit log. */
export class RequestAudit {
  #failure: Outcome | undefined;

  constructor(
    private readonly operation: Operation,
    private readonly answerFields: readonly string[],
  ) {}

  /** Adds to what the log will tell; secrets are masked. */
  add(meta: Record<string, unknown>): void {
    this.operation.add(meta);
  }

  /** Takes from an answer what the log tells of it. */
  answered(answer: unknown): void {
    this.operation.add(pick(answer, this.answerFields));
  }

  /** Takes from an error's body how the request failed. */
  failed(body: unknown): void {
    const { code } = pick(body, ["code"]);
    this.#failure = { outcome: "error", code: isErrorCode(code) ? code : "internal" };
  }

  /** Call it with each line of a streamed answer before it is sent: the last one waits until the event is on disk. */
  async line(value: unknown): Promise<void> {
    const { type } = pick(value, ["type"]);
    if (!LAST_LINES.includes(type)) return;
    if (type === "error") this.failed(value);
    else this.answered(value);
    await this.finish();
  }

  /** Logs how the request ended, if that isn't logged yet. Throws `audit_unavailable`. */
  async finish(): Promise<void> {
    await this.operation.finish(this.#failure);
  }
}

/**
 * Logs every request that can change something: begun before its handler runs, on disk before its answer is sent. While
 * the log can't be written such requests are refused. Call it before the routes are registered.
 */
export function auditRequests(app: FastifyInstance, parts: Parts): void {
  app.decorateRequest("audit");
  app.addHook("onRoute", (route) => {
    for (const method of [route.method].flat()) {
      const rule = ruleOf(method, route);
      if (rule && !("nothing" in rule)) addHooks(route, method, rule, parts);
    }
  });
}

/** Throws where a route that can change something has no rule. */
function ruleOf(method: string, route: RouteOptions): AuditRule | undefined {
  const webSocket = "websocket" in route && route.websocket === true;
  if (method === "HEAD" || method === "OPTIONS" || (method === "GET" && !webSocket))
    return undefined;
  const path = route.url.replace(/\/$/, "");
  const rule = AUDITED[`${method} ${path}`] ?? AUDITED[`ANY ${path}`];
  if (!rule) throw new Error(`${method} ${path} has no entry in http/audited.ts`);
  return rule;
}

function addHooks(route: RouteOptions, method: string, rule: Rule, parts: Parts): void {
  const begin = async (request: FastifyRequest) => {
    if (request.method !== method || ("open" in rule && !request.ws)) return;
    await beginRequest(request, rule, parts);
  };
  route.preHandler = [...[route.preHandler ?? []].flat(), begin];
  route.preSerialization = [...[route.preSerialization ?? []].flat(), readAnswer];
  route.onSend = [...[route.onSend ?? []].flat(), endRequest];
}

async function beginRequest(request: FastifyRequest, rule: Rule, { recorder, envOf }: Parts) {
  const start = await toStart(request, rule, envOf);
  if ("open" in rule) await recorder.append({ ...start, type: rule.open });
  const operation = await recorder.begin(start);
  request.audit = new RequestAudit(operation, ("answer" in rule && rule.answer) || []);
  if ("open" in rule) request.raw.socket.once("close", () => void finishAnyway(request));
}

async function readAnswer(request: FastifyRequest, reply: FastifyReply, payload: unknown) {
  if (reply.statusCode >= 400) request.audit?.failed(payload);
  else request.audit?.answered(payload);
  return payload;
}

/** An answer that tells of success is not sent unlogged; one that tells of a failure stays what it is. */
async function endRequest(request: FastifyRequest, reply: FastifyReply) {
  if (reply.statusCode >= 400) await finishAnyway(request);
  else await request.audit?.finish();
}

async function finishAnyway(request: FastifyRequest): Promise<void> {
  await request.audit
    ?.finish()
    .catch((error: unknown) => request.log.error({ err: error }, "a request could not be logged"));
}

async function toStart(
  request: FastifyRequest,
  rule: Rule,
  envOf: Parts["envOf"],
): Promise<OperationStart> {
  const space = spaceOf(request, rule);
  const body = "type" in rule ? rule.body : undefined;
  const { env } = pick(request.body, ["env"]);
  const given = isTexts(env) ? env : {};
  const known = space === undefined ? {} : await envOf(space);
  const tokens = Object.values(pick(request.body, ["token", "gitToken"])).filter(isText);
  return {
    type: "type" in rule ? rule.type : rule.close,
    request: request.id,
    space,
    actor: request.actor && `key:${request.actor.name}`,
    secrets: [...secretsOf(given), ...secretsOf(known), ...tokens],
    meta: {
      ...pick(request.params, rule.params),
      ...pick(request.query, rule.query),
      ...pick(request.body, body),
      ...("bytes" in rule ? { bytes: Number(request.headers["content-length"] ?? 0) } : {}),
      ...(Object.keys(given).length > 0 ? { env: Object.keys(given) } : {}),
      ...originOf(request),
    },
  };
}

/** Where a request came from: the client's address, and the node that passed it on. */
function originOf({ ip, peer }: FastifyRequest): { from?: string; via?: string } {
  const from = peer ? peer.from : ip;
  return {
    ...(from === undefined || LOOPBACK.test(from) ? {} : { from }),
    ...(peer ? { via: peer.node } : {}),
  };
}

function spaceOf(request: FastifyRequest, rule: Rule): string | undefined {
  const place = "space" in rule ? rule.space : undefined;
  const { name } =
    place !== undefined
      ? pick(place === "body.name" ? request.body : request.params, ["name"])
      : request.routeOptions.url?.startsWith("/api/spaces/")
        ? pick(request.params, ["name"])
        : {};
  return typeof name === "string" ? name : undefined;
}

/** The fields of a value that are there; "a.b" is called b. */
function pick(value: unknown, fields: readonly string[] = []): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const field of fields) {
    const path = field.split(".");
    const found = path.reduce<unknown>((at, name) => (isObject(at) ? at[name] : undefined), value);
    if (found !== undefined) picked[path.at(-1) ?? field] = found;
  }
  return picked;
}

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

const isText = (value: unknown) => typeof value === "string";

const isTexts = (value: unknown): value is Record<string, string> =>
  isObject(value) && Object.values(value).every(isText);

const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === "string" && code in ERROR_STATUS;
