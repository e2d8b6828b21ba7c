import {
  type Actor,
  ActorSchema,
  type AuditAnswer,
  AuditAnswerSchema,
  type AuditEvent,
  AuditEventSchema,
  type AuditVerdict,
  AuditVerdictSchema,
  ClawdspaceError,
  CreatedKeySchema,
  type CreateKeyRequest,
  type CreateSpaceEvent,
  CreateSpaceEventSchema,
  type CreateSpaceRequest,
  type Key,
  KeyListSchema,
  MessageSchema,
  type Space,
  type SpaceList,
  SpaceListSchema,
  type Template,
  TemplateAnswerSchema,
  TemplateListSchema,
  type TemplateSource,
  TemplateSourceSchema,
  type TemplateSummary,
} from "@clawdspace/protocol";
import { type Connection, inBandError } from "./connection.js";
import { SpaceHandle } from "./space.js";
import { pause } from "./sse.js";

export type CreateProgress = Extract<CreateSpaceEvent, { type: "progress" }>;

export class Spaces {
  constructor(private readonly connection: Connection) {}

  async list(options: { signal?: AbortSignal } = {}): Promise<Space[]> {
    return (await this.connection.json(SpaceListSchema, "GET", "/api/spaces", options)).spaces;
  }

  /** The spaces of all nodes of the fleet; `errors` names the nodes that gave no answer. */
  async listAll(): Promise<SpaceList> {
    const options = { query: { node: "all" } };
    return await this.connection.json(SpaceListSchema, "GET", "/api/spaces", options);
  }

  /** Throws `not_found`. */
  async get(name: string): Promise<Space> {
    return await new SpaceHandle(this.connection, name).get();
  }

  /** Makes a space; `onProgress` is told what takes its time, such as an image's download. An abort undoes it. */
  async create(
    request: CreateSpaceRequest,
    options: { onProgress?: (progress: CreateProgress) => void; signal?: AbortSignal } = {},
  ): Promise<SpaceHandle> {
    const sent = { json: request, signal: options.signal };
    const path = "/api/spaces";
    for await (const event of this.connection.lines(CreateSpaceEventSchema, "POST", path, sent)) {
      if (event.type === "error") throw inBandError(event);
      if (event.type === "space") {
        return new SpaceHandle(this.connection, event.space.name, event.space);
      }
      options.onProgress?.(event);
    }
    throw new ClawdspaceError("unreachable", "The connection ended before the space was made.");
  }

  async start(name: string): Promise<void> {
    await new SpaceHandle(this.connection, name).start();
  }

  async stop(name: string): Promise<void> {
    await new SpaceHandle(this.connection, name).stop();
  }

  async remove(name: string, options: { removeVolume?: boolean } = {}): Promise<void> {
    await new SpaceHandle(this.connection, name).remove(options);
  }
}

export class Templates {
  constructor(private readonly connection: Connection) {}

  async list(): Promise<TemplateSummary[]> {
    return (await this.connection.json(TemplateListSchema, "GET", "/api/templates")).templates;
  }

  async get(name: string): Promise<TemplateSource> {
    return await this.connection.json(TemplateSourceSchema, "GET", at("/api/templates", name));
  }

  /** Makes or replaces the template that the YAML names. Throws `invalid_request` with the lines at fault. */
  async put(yaml: string): Promise<Template> {
    const options = { json: { yaml } };
    const answer = await this.connection.json(
      TemplateAnswerSchema,
      "PUT",
      "/api/templates",
      options,
    );
    return answer.template;
  }

  async delete(name: string): Promise<void> {
    await this.connection.json(MessageSchema, "DELETE", at("/api/templates", name));
  }
}

export class Keys {
  constructor(private readonly connection: Connection) {}

  async list(): Promise<Key[]> {
    return (await this.connection.json(KeyListSchema, "GET", "/api/keys")).keys;
  }

  /** Makes a key; this answer is the only one that holds its secret. */
  async create(request: CreateKeyRequest): Promise<{ key: Key; secret: string }> {
    return await this.connection.json(CreatedKeySchema, "POST", "/api/keys", { json: request });
  }

  async revoke(id: string): Promise<void> {
    await this.connection.json(MessageSchema, "DELETE", at("/api/keys", id));
  }
}

/** Signing in and out of a browser. */
export class Session {
  constructor(private readonly connection: Connection) {}

  /** Trades a key for a cookie that no script can read. */
  async create(key: string): Promise<Actor> {
    return await this.connection.json(ActorSchema, "POST", "/api/session", { json: { key } });
  }

  /** Who asks, by key or cookie. */
  async get(): Promise<Actor> {
    return await this.connection.json(ActorSchema, "GET", "/api/session");
  }

  async delete(): Promise<void> {
    await this.connection.json(MessageSchema, "DELETE", "/api/session");
  }
}

export interface AuditFilter {
  space?: string | undefined;
  type?: string | undefined;
  actor?: string | undefined;
  /** ISO time or date; events at it are included. */
  since?: string | undefined;
  /** ISO time or date; events at it are left out. */
  until?: string | undefined;
}

const FOLLOW_MS = 1000;
const PAGE = 1000;

export class Audit {
  constructor(private readonly connection: Connection) {}

  /** The newest events (200, or `limit`, at most 1000), oldest first; `next` is the `before` that asks for older ones. */
  async query(
    options: AuditFilter & { before?: number; limit?: number } = {},
  ): Promise<AuditAnswer> {
    const query = { ...options };
    return await this.connection.json(AuditAnswerSchema, "GET", "/api/audit", { query });
  }

  /** All events, oldest first, however many there are. */
  stream(
    filter: AuditFilter = {},
    options: { signal?: AbortSignal } = {},
  ): AsyncGenerator<AuditEvent> {
    const query = { ...filter, format: "jsonl" };
    return this.connection.lines(AuditEventSchema, "GET", "/api/audit", { query, ...options });
  }

  /** Events as they come, after the one with the id `after`, or after those that there are now. */
  async *follow(
    filter: AuditFilter = {},
    { after, signal }: { after?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<AuditEvent> {
    let last = after ?? (await this.query({ ...filter, limit: 1 })).events.at(-1)?.id ?? 0;
    for (;;) {
      const fresh: AuditEvent[] = [];
      let before: number | undefined;
      do {
        const page = await this.query({ ...filter, limit: PAGE, ...(before ? { before } : {}) });
        const newer = page.events.filter(({ id }) => id > last);
        fresh.unshift(...newer);
        before = newer.length === page.events.length ? page.next : undefined;
      } while (before !== undefined && before > last);
      last = fresh.at(-1)?.id ?? last;
      yield* fresh;
      await pause(FOLLOW_MS, signal);
    }
  }

  /** Checks that the log is what was written. */
  async verify(): Promise<AuditVerdict> {
    const options = { timeoutMs: null };
    return await this.connection.json(AuditVerdictSchema, "GET", "/api/audit/verify", options);
  }
}

const at = (path: string, name: string) => `${path}/${encodeURIComponent(name)}`;
