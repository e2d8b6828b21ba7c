import { type Actor, ClawdspaceError, type Role } from "@clawdspace/protocol";
import picomatch from "picomatch";

/** Roles from the least to the most that one may do. */
const RANK: Record<Role, number> = { viewer: 0, agent: 1, admin: 2 };

/**
 * The least role for each route that needs a key, by "METHOD path". A route that is missing here stops the daemon from
 * starting, so that none is ever open by mistake.
 */
export const ACCESS: Record<string, Role> = {
  "GET /api/spaces": "viewer",
  "POST /api/spaces": "agent",
  "GET /api/spaces/:name": "viewer",
  "DELETE /api/spaces/:name": "agent",
  "POST /api/spaces/:name/stop": "agent",
  "POST /api/spaces/:name/start": "agent",
  "POST /api/spaces/:name/move": "agent",
  "DELETE /api/spaces/:name/move": "agent",
  "POST /api/spaces/:name/exec": "agent",
  "GET /api/spaces/:name/files": "viewer",
  "DELETE /api/spaces/:name/files": "agent",
  "GET /api/spaces/:name/file": "viewer",
  "PUT /api/spaces/:name/file": "agent",
  "GET /api/spaces/:name/files/raw": "viewer",
  "PUT /api/spaces/:name/files/raw": "agent",
  "GET /api/spaces/:name/files/archive": "viewer",
  "PUT /api/spaces/:name/files/archive": "agent",
  "POST /api/spaces/:name/files/upload": "agent",
  "GET /api/spaces/:name/files/stat": "viewer",
  "POST /api/spaces/:name/files/mkdir": "agent",
  "POST /api/spaces/:name/files/move": "agent",
  "POST /api/spaces/:name/files/copy": "agent",
  "POST /api/spaces/:name/files/chmod": "agent",
  "GET /api/spaces/:name/files/find": "viewer",
  "GET /api/spaces/:name/files/grep": "viewer",
  "GET /api/spaces/:name/files/watch": "viewer",
  "GET /api/spaces/:name/processes": "viewer",
  "POST /api/spaces/:name/processes": "agent",
  "GET /api/spaces/:name/processes/:id": "viewer",
  "DELETE /api/spaces/:name/processes/:id": "agent",
  "GET /api/spaces/:name/processes/:id/output": "viewer",
  "POST /api/spaces/:name/processes/:id/wait": "agent",
  "POST /api/spaces/:name/processes/:id/stdin": "agent",
  "POST /api/spaces/:name/processes/:id/stdin/close": "agent",
  "POST /api/spaces/:name/processes/:id/resize": "agent",
  "POST /api/spaces/:name/processes/:id/signal": "agent",
  "GET /api/spaces/:name/terminal": "agent",
  "GET /api/spaces/:name/terminals": "viewer",
  "DELETE /api/spaces/:name/terminals/:session": "agent",
  // It runs git in the space, and wakes it.
  "GET /api/spaces/:name/git/status": "agent",
  "POST /api/spaces/:name/git/clone": "agent",
  "POST /api/spaces/:name/git/pull": "agent",
  "POST /api/spaces/:name/git/push": "agent",
  "POST /api/spaces/:name/git/commit": "agent",
  "POST /api/spaces/:name/git/checkout": "agent",
  "GET /api/spaces/:name/stats": "viewer",
  "GET /api/spaces/:name/observability": "viewer",
  "GET /api/spaces/:name/metrics/history": "viewer",
  "GET /metrics": "viewer",
  // What its tools ask for is checked where they ask.
  "POST /mcp": "viewer",
  "GET /mcp": "viewer",
  "DELETE /mcp": "viewer",
  "GET /api/spaces/:name/ports": "viewer",
  "POST /api/spaces/:name/ports/:port/wait": "agent",
  "POST /api/spaces/:name/ports/:port/link": "agent",
  "GET /api/spaces/:name/ports/:port/tcp": "agent",
  "ANY /api/spaces/:name/proxy/:port": "agent",
  "ANY /api/spaces/:name/proxy/:port/*": "agent",
  "GET /api/system": "viewer",
  "GET /api/system/capabilities": "viewer",
  "GET /api/doctor": "viewer",
  "GET /api/nodes": "viewer",
  "POST /api/nodes/:node/drain": "admin",
  "POST /api/nodes/:node/undrain": "admin",
  "GET /api/peer/status": "viewer",
  "POST /api/peer/moves": "agent",
  "PUT /api/peer/moves/:name/:id/workspace": "agent",
  "POST /api/peer/moves/:name/:id/commit": "agent",
  "DELETE /api/peer/moves/:name/:id": "agent",
  "GET /api/templates": "viewer",
  "GET /api/templates/:name": "viewer",
  "PUT /api/templates": "admin",
  "DELETE /api/templates/:name": "admin",
  "GET /api/audit": "viewer",
  "GET /api/audit/verify": "admin",
  "GET /api/events": "viewer",
  "GET /api/keys": "admin",
  "POST /api/keys": "admin",
  "DELETE /api/keys/:id": "admin",
};

/** Throws `forbidden` where an actor's role is less than a route needs. */
export function checkRole(actor: Actor, needed: Role): void {
  if (RANK[actor.role] >= RANK[needed]) return;
  throw new ClawdspaceError(
    "forbidden",
    `The key "${actor.name}" has the role ${actor.role}; this needs ${needed}.`,
  );
}

/** Whether an actor's key reaches a space of this name. */
export const maySee = (actor: Actor, space: string) =>
  actor.spaces === undefined || picomatch.isMatch(space, actor.spaces);

/** Throws `forbidden` where an actor's key is limited to other spaces. */
export function checkSpace(actor: Actor, space: string): void {
  if (maySee(actor, space)) return;
  throw new ClawdspaceError(
    "forbidden",
    `The key "${actor.name}" is limited to spaces named ${actor.spaces?.join(", ")}; "${space}" is none of them.`,
  );
}
