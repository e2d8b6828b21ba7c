import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Transform } from "node:stream";
import { dockerHost } from "./daemon.js";

/** A socket in front of the engine that can be cut and mended: to a daemon behind it, the engine is gone and comes back. */
export class EngineProxy {
  readonly #sockets = new Set<Socket>();
  /** Called with each request's method and path before the engine gets it, and with `true` before its answer is passed on. */
  onRequest: (request: string, answered: boolean) => Promise<void> | void = () => {};
  #server: Server | undefined;
  #goOn = () => {};
  #hanging = new Promise<void>((resolve) => (this.#goOn = resolve));

  private constructor(private readonly folder: string) {}

  static async start(): Promise<EngineProxy> {
    const proxy = new EngineProxy(await mkdtemp(join(tmpdir(), "clawdspace-engine-proxy-")));
    await proxy.mend();
    return proxy;
  }

  get dockerHost(): string {
    return `unix://${this.#path}`;
  }

  get #path(): string {
    return join(this.folder, "docker.sock");
  }

  /** Breaks every connection and takes no new ones. */
  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = server && once(server, "close");
    server?.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await rm(this.#path, { force: true });
  }

  /** Takes connections and requests, and answers nothing, like an engine that hangs. What is connected hangs too. */
  hang(): void {
    this.onRequest = () => this.#hanging;
  }

  /** Goes on with everything that hung. */
  resume(): void {
    this.onRequest = () => {};
    this.#goOn();
    this.#hanging = new Promise((resolve) => (this.#goOn = resolve));
  }

  /** Takes connections again. */
  async mend(): Promise<void> {
    this.#server = createServer((client) => this.#forward(client)).listen(this.#path);
    await once(this.#server, "listening");
  }

  async stop(): Promise<void> {
    await this.cut();
    await rm(this.folder, { recursive: true, force: true });
  }

  #forward(client: Socket): void {
    const engine = connect({ path: dockerHost.replace("unix://", ""), allowHalfOpen: true });
    for (const [socket, other] of [
      [client, engine],
      [engine, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    let request = "";
    const watched = (answered: boolean) =>
      new Transform({
        transform: async (chunk: Buffer, _encoding, done) => {
          const [, line] = /^([A-Z]+ \S+) HTTP\/1\.1\r\n/.exec(chunk.toString("latin1")) ?? [];
          if (!answered && line !== undefined) request = line;
          if (answered || line !== undefined) await this.onRequest(request, answered);
          done(null, chunk);
        },
      });
    client.pipe(watched(false)).pipe(engine);
    engine.pipe(watched(true)).pipe(client);
  }
}
