export { createMcpServer } from "./server.js";
export { serveStdio } from "./stdio.js";
