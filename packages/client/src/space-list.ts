import { type Space, SpaceListSchema } from "@clawdspace/protocol";
import type { Connection } from "./connection.js";

export async function listSpaces(
  connection: Connection,
  options: { signal?: AbortSignal } = {},
): Promise<Space[]> {
  return (await connection.json(SpaceListSchema, "GET", "/api/spaces", options)).spaces;
}
