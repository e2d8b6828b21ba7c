import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import {
  BodyFailure,
  type Transport,
  type TransportAnswer,
  type TransportRequest,
} from "./transport.js";

const KEEP_ALIVE = { keepAlive: true };

/** A transport over node:http. Its connections are kept for the next request, and keep no process alive. */
export function httpTransport(): Transport {
  const plain = { request: httpRequest, agent: new HttpAgent(KEEP_ALIVE) };
  let secure: Promise<typeof plain> | undefined;
  return async (sent) => {
    const { headers, body } = await encoded(sent);
    if (sent.url.startsWith("https:")) secure ??= loadSecure();
    const { request: send, agent } = sent.url.startsWith("https:")
      ? ((await secure) ?? plain)
      : plain;
    return await new Promise((resolve, reject) => {
      const request = send(sent.url, {
        method: sent.method,
        agent,
        headers,
        ...(sent.signal ? { signal: sent.signal } : {}),
      });
      let answered = false;
      request.once("response", (message) => {
        answered = true;
        resolve(answerOf(message));
      });
      // A daemon that refuses an upload answers and hangs up: what can't be sent then is no failure of its own.
      request.on("error", (error) => {
        if (!answered) reject(error);
      });
      if (body === undefined || typeof body === "string" || body instanceof Uint8Array) {
        request.end(body);
        return;
      }
      const source = Readable.from(body, { objectMode: false });
      source.once("error", (error) => {
        reject(new BodyFailure("The body could not be read", { cause: error }));
        request.destroy(error);
      });
      request.once("close", () => source.destroy());
      source.pipe(request);
    });
  };
}

/** TLS takes its time to load, so only who needs it does. */
async function loadSecure() {
  const { Agent, request } = await import("node:https");
  return { request, agent: new Agent(KEEP_ALIVE) };
}

async function encoded({ headers, body }: TransportRequest) {
  if (isA<FormData>(body, "FormData")) {
    const form = new Response(body);
    const type = form.headers.get("content-type") ?? "";
    return { headers: { ...headers, "content-type": type }, body: form.body as Pieces };
  }
  if (isA<Blob>(body, "Blob")) {
    const length = `${body.size}`;
    return { headers: { ...headers, "content-length": length }, body: body.stream() as Pieces };
  }
  if (typeof body === "string" || body instanceof Uint8Array) {
    const length = `${Buffer.byteLength(body)}`;
    return { headers: { ...headers, "content-length": length }, body };
  }
  return { headers, body: body as Pieces | undefined };
}

/** Told by the name: asking for the class itself would load all of fetch, which no other request needs. */
const isA = <T>(value: unknown, name: string): value is T =>
  Object.prototype.toString.call(value) === `[object ${name}]`;

type Pieces = AsyncIterable<Uint8Array>;

function answerOf(message: IncomingMessage): TransportAnswer {
  const header = (headers: IncomingMessage["headers"], name: string) => {
    const value = headers[name.toLowerCase()];
    return typeof value === "object" ? value.join(", ") : value;
  };
  return {
    status: message.statusCode ?? 0,
    header: (name) => header(message.headers, name),
    trailer: (name) => header(message.trailers, name),
    async text() {
      let text = "";
      message.setEncoding("utf8");
      for await (const piece of message) text += piece;
      return text;
    },
    pieces: () => message,
  };
}
