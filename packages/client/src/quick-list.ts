import type { Space } from "@clawdspace/protocol";
import { Connection } from "./connection.js";
import { httpTransport } from "./http-transport.js";
import { listSpaces } from "./space-list.js";

const TIMEOUT_MS = 30_000;

/** The spaces of a daemon, without loading the rest of the client: for programs that start for this alone. */
export async function quickList({ url, key }: { url: string; key?: string }): Promise<Space[]> {
  const connection = new Connection({
    baseUrl: url,
    key,
    timeoutMs: TIMEOUT_MS,
    transport: httpTransport(),
    socket: () => Promise.reject(new Error("a list needs no socket")),
  });
  return await listSpaces(connection);
}
