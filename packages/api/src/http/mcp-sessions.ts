import { createHash, randomUUID } from "node:crypto";
import { ClawdspaceError } from "@clawdspace/protocol";
import type { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { LRUCache } from "lru-cache";
import { VERSION } from "../version.js";

const MAX_SESSIONS = 200;
const IDLE_MS = 30 * 60_000;

interface Session {
  transport: StreamableHTTPServerTransport;
  owner: string;
}

/** Where a client of MCP reached the daemon, and by which key; undefined where authentication is off. */
export interface McpCaller {
  /** The address of this daemon at which it was asked, such as "http://127.0.0.1:7777". */
  baseUrl: string;
  key: string | undefined;
}

/**
 * The MCP sessions of this daemon. Each speaks to the API as its client's own key, so that roles, limits and the audit
 * log are those of any other request. Sessions that nobody uses for half an hour end.
 */
export class McpSessions {
  readonly #sessions = new LRUCache<string, Session>({
    max: MAX_SESSIONS,
    ttl: IDLE_MS,
    updateAgeOnGet: true,
    ttlAutopurge: true,
    dispose: ({ transport }) => void transport.close().catch(() => {}),
  });

  /** The session that a request belongs to. Throws `not_found` where there is none, or it is another key's. */
  find(id: string, caller: McpCaller): StreamableHTTPServerTransport {
    const session = this.#sessions.get(id);
    if (session?.owner === ownerOf(caller)) return session.transport;
    throw new ClawdspaceError("not_found", "There is no such MCP session; initialize a new one.");
  }

  /** Begins a session; its client's first message makes it one. */
  async begin(caller: McpCaller): Promise<StreamableHTTPServerTransport> {
    // Loaded when it is first asked for: most daemons never are.
    const [{ Clawdspace }, { createMcpServer }, { StreamableHTTPServerTransport }] =
      await Promise.all([
        import("@clawdspace/client"),
        import("@clawdspace/mcp"),
        import("@modelcontextprotocol/sdk/server/streamableHttp.js"),
      ]);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => {
        this.#sessions.set(id, { transport, owner: ownerOf(caller) });
      },
      onsessionclosed: (id) => {
        this.#sessions.delete(id);
      },
    });
    const server = createMcpServer(new Clawdspace(caller), VERSION);
    // The class declares its optional callbacks in a way that exact optional types refuse.
    await server.connect(transport as Parameters<typeof server.connect>[0]);
    return transport;
  }

  /** Ends them all. */
  close(): void {
    this.#sessions.clear();
  }
}

/** What tells one key's sessions from another's; the key itself is not kept here. */
const ownerOf = ({ key = "" }: McpCaller) => createHash("sha256").update(key).digest("hex");
