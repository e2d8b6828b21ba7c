/** What the audit log tells of a request. Fields are taken by name; secrets in them are masked. */
export type AuditRule =
  | {
      type: string;
      /** Where the space's name stands; the route's `:name` below /api/spaces unless told otherwise. */
      space?: "body.name" | "params.name";
      params?: readonly string[];
      query?: readonly string[];
      body?: readonly string[];
      /** Of the answer; "a.b" is b in a. */
      answer?: readonly string[];
      /** How many bytes the request brings. */
      bytes?: true;
    }
  /** A WebSocket: an event when it is opened and one when it is closed. */
  | { open: string; close: string; params?: readonly string[]; query?: readonly string[] }
  /** Why there is nothing to tell. */
  | { nothing: string };

const SERVED = "a program in the space serves it, and nothing else is changed";
const exitCode = ["exitCode", "timedOut"];
const place = ["path", "pathBase64"];
const fromTo = ["from", "fromBase64", "to", "toBase64", "overwrite"];

/**
 * What is logged of each route that can change something: every method but GET, HEAD and OPTIONS, and every WebSocket, by
 * "METHOD path". A route that is missing here stops the daemon from starting, so that none is ever left unlogged.
 */
export const AUDITED: Record<string, AuditRule> = {
  "POST /api/spaces": {
    type: "space.create",
    space: "body.name",
    body: [
      ...["template", "image", "memory", "cpus", "gpu", "node", "labels", "envFilePath"],
      ...["repoUrl", "repoBranch", "repoDest", "repoDepth", "repoSubmodules", "keepOnError"],
    ],
    answer: ["space.id"],
  },
  "DELETE /api/spaces/:name": { type: "space.destroy", query: ["removeVolume"] },
  "POST /api/spaces/:name/stop": { type: "space.pause" },
  "POST /api/spaces/:name/start": { type: "space.start" },
  "POST /api/spaces/:name/move": { type: "space.move", body: ["node"] },
  "DELETE /api/spaces/:name/move": { type: "space.move.abandon" },
  "POST /api/spaces/:name/exec": {
    type: "space.exec",
    body: ["command", "cwd", "user", "timeoutMs"],
    answer: exitCode,
  },
  "POST /api/spaces/:name/processes": {
    type: "process.start",
    body: ["command", "cwd", "user", "timeoutMs", "tag", "pty"],
    answer: ["process.id"],
  },
  "DELETE /api/spaces/:name/processes/:id": { type: "process.remove", params: ["id"] },
  "POST /api/spaces/:name/processes/:id/wait": { nothing: "waits, and changes nothing" },
  "POST /api/spaces/:name/processes/:id/stdin": {
    type: "process.stdin",
    params: ["id"],
    bytes: true,
  },
  "POST /api/spaces/:name/processes/:id/stdin/close": { type: "process.stdin", params: ["id"] },
  "POST /api/spaces/:name/processes/:id/resize": { nothing: "only how much a terminal shows" },
  "POST /api/spaces/:name/processes/:id/signal": {
    type: "process.signal",
    params: ["id"],
    body: ["signal", "scope"],
  },
  "GET /api/spaces/:name/terminal": {
    open: "terminal.open",
    close: "terminal.close",
    query: ["session", "command"],
  },
  "DELETE /api/spaces/:name/terminals/:session": { type: "terminal.end", params: ["session"] },
  "PUT /api/spaces/:name/file": { type: "space.file.write", query: place, answer: ["size"] },
  "PUT /api/spaces/:name/files/raw": {
    type: "space.file.write",
    query: [...place, "append"],
    answer: ["size"],
  },
  "PUT /api/spaces/:name/files/archive": {
    type: "space.file.write",
    query: place,
    answer: ["entries"],
  },
  "POST /api/spaces/:name/files/upload": {
    type: "space.file.write",
    query: place,
    answer: ["files"],
  },
  "POST /api/spaces/:name/files/mkdir": { type: "space.file.mkdir", body: place },
  "POST /api/spaces/:name/files/move": { type: "space.file.move", body: fromTo },
  "POST /api/spaces/:name/files/copy": {
    type: "space.file.copy",
    body: [...fromTo, "recursive"],
    answer: ["entries"],
  },
  "POST /api/spaces/:name/files/chmod": { type: "space.file.chmod", body: [...place, "mode"] },
  "DELETE /api/spaces/:name/files": {
    type: "space.file.remove",
    query: [...place, "recursive"],
    answer: ["entries"],
  },
  "POST /api/spaces/:name/git/clone": {
    type: "space.git.clone",
    body: ["url", "dest", "branch", "depth", "submodules"],
    answer: ["repository.head"],
  },
  "POST /api/spaces/:name/git/pull": {
    type: "space.git.pull",
    body: ["repoPath", "remote", "branch", "rebase"],
    answer: ["repository.head", "updated"],
  },
  "POST /api/spaces/:name/git/commit": {
    type: "space.git.commit",
    body: ["repoPath", "paths", "message"],
    answer: ["head"],
  },
  "POST /api/spaces/:name/git/checkout": {
    type: "space.git.checkout",
    body: ["repoPath", "ref", "create"],
    answer: ["head"],
  },
  "POST /api/spaces/:name/git/push": {
    type: "space.git.push",
    body: ["repoPath", "remote", "branch"],
    answer: exitCode,
  },
  "POST /api/spaces/:name/ports/:port/wait": { nothing: "waits, and changes nothing" },
  "POST /api/spaces/:name/ports/:port/link": {
    type: "port.link",
    params: ["port"],
    body: ["expiresInSeconds", "via"],
  },
  "GET /api/spaces/:name/ports/:port/tcp": {
    open: "port.open",
    close: "port.close",
    params: ["port"],
  },
  "ANY /api/spaces/:name/proxy/:port": { nothing: SERVED },
  "ANY /api/spaces/:name/proxy/:port/*": { nothing: SERVED },
  "ANY /api/spaces/:name/preview/:token": { nothing: SERVED },
  "ANY /api/spaces/:name/preview/:token/*": { nothing: SERVED },
  "ANY /.preview": { nothing: SERVED },
  "POST /api/nodes/:node/drain": { type: "node.drain", params: ["node"] },
  "POST /api/nodes/:node/undrain": { type: "node.undrain", params: ["node"] },
  "POST /api/peer/hello": { nothing: "asks for a proof, and changes nothing" },
  "POST /api/peer/session": { nothing: "what is done in the session is logged" },
  "POST /api/peer/moves": { nothing: "only sees whether a space could come here" },
  "PUT /api/peer/moves/:name/:id/workspace": {
    nothing: "the space is there, and logged, when it is committed",
  },
  "POST /api/peer/moves/:name/:id/commit": {
    type: "space.arrive",
    space: "params.name",
    answer: ["state", "space.id"],
  },
  "DELETE /api/peer/moves/:name/:id": { nothing: "gives up what is no space yet" },
  "POST /mcp": { nothing: "what its tools do is logged where they do it" },
  "DELETE /mcp": { nothing: "ends a conversation, and changes nothing" },
  "PUT /api/templates": { type: "template.upsert", answer: ["template.name"] },
  "DELETE /api/templates/:name": { type: "template.delete", params: ["name"] },
  "POST /api/keys": { type: "key.create", body: ["name", "role", "spaces"] },
  "DELETE /api/keys/:id": { type: "key.revoke", params: ["id"] },
  "POST /api/session": { type: "session.create", answer: ["name", "role"] },
  "DELETE /api/session": { nothing: "only the browser's own cookie is removed" },
};
