import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough, Transform } from "node:stream";

/**
 * What becomes of a request: it goes its way, never arrives, is answered to nobody, has a byte changed in its body, or stops in the
 * middle of it.
 */
export type Fate = "pass" | "lost" | "unanswered" | "altered" | "stalled";

const AT = 5_000_000;

/** Stands before a daemon, so that a test decides what of another node's requests and of their answers arrives. */
export class NodeProxy {
  /** Decides for each request; may wait, and is told of the first bytes of its body only once they have come. */
  fate: (asked: { method: string; path: string }) => Fate | Promise<Fate> = () => "pass";

  /** Called when an answer has come that is passed on to nobody, before its asker's connection breaks off. */
  unheard: () => void | Promise<void> = () => {};

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(target: string): Promise<NodeProxy> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const proxy = new NodeProxy(server, `http://127.0.0.1:${port}`);
    server.on("request", (incoming, response) => {
      const asked = { method: incoming.method ?? "", path: incoming.url ?? "" };
      void Promise.resolve(proxy.fate(asked)).then((fate) => {
        const { socket } = incoming;
        if (fate === "lost") return socket.destroy();
        const { method, url: path, headers } = incoming;
        const outgoing = request(target, { method, path, headers, agent: false });
        outgoing.on("error", () => socket.destroy());
        incoming.on("error", () => outgoing.destroy());
        response.on("close", () => {
          if (!response.writableFinished) outgoing.destroy();
        });
        outgoing.on("response", (answer: IncomingMessage) => {
          answer.on("error", () => socket.destroy());
          if (fate === "unanswered") {
            answer.resume();
            answer.on(
              "end",
              () => void Promise.resolve(proxy.unheard()).then(() => socket.destroy()),
            );
            return;
          }
          response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
          answer.pipe(response);
        });
        incoming.pipe(BODIES[fate]?.() ?? new PassThrough()).pipe(outgoing);
      });
    });
    return proxy;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}

function altered(): Transform {
  let total = 0;
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      const at = AT - total;
      total += piece.length;
      if (at >= 0 && at < piece.length) piece[at] = (piece[at] ?? 0) ^ 1;
      done(null, piece);
    },
  });
}

/** Takes all, so that the end of the sender is noticed, and passes on what comes first, never an end. */
function stalled(): Transform {
  let total = 0;
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      total += piece.length;
      done(null, total < AT ? piece : undefined);
    },
    flush() {},
  });
}

const BODIES: { [fate in Fate]?: () => Transform } = { altered, stalled };
