import type { Space } from "@clawdspace/protocol";
import { Connection, type Schema } from "./connection.js";
import { httpTransport } from "./http-transport.js";

const TIMEOUT_MS = 30_000;

/** Looks at what a list is told by; the protocol's own schema takes longer to load than the daemon to answer. */
const LIST: Schema<{ spaces: Space[] }> = {
  safeParse(value) {
    const { spaces } = (value ?? {}) as { spaces?: unknown };
    return Array.isArray(spaces) && spaces.every(isSpace)
      ? { success: true, data: { spaces } }
      : { success: false, error: { message: "no list of spaces" } };
  },
};

const isSpace = (value: unknown): value is Space => {
  const { name, status } = (value ?? {}) as Partial<Space>;
  return typeof name === "string" && typeof status === "string";
};

/** The spaces of a daemon, without loading the rest of the client: for programs that start for this alone. */
export async function quickList({ url, key }: { url: string; key?: string }): Promise<Space[]> {
  const connection = new Connection({
    baseUrl: url,
    key,
    timeoutMs: TIMEOUT_MS,
    transport: httpTransport(),
    socket: () => Promise.reject(new Error("a list needs no socket")),
  });
  return (await connection.json(LIST, "GET", "/api/spaces")).spaces;
}
