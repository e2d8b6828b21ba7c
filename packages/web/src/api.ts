import { Clawdspace } from "@clawdspace/client";

/** The daemon that served this page, reached with the session's cookie. */
export const api = new Clawdspace({});
