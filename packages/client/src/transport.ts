/** What a request may carry. Where a browser's fetch sends it, only a Blob, bytes, text or a form go everywhere. */
export type Body =
  | string
  | Uint8Array
  | Blob
  | FormData
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>;

/** Says that what a request was to carry could not be read; why is its cause. */
export class BodyFailure extends Error {
  override readonly name = "BodyFailure";
}

export interface TransportRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: Body | undefined;
  signal?: AbortSignal | undefined;
}

export interface TransportAnswer {
  status: number;
  header(name: string): string | undefined;
  /** What came after the body, where the transport can tell. */
  trailer?(name: string): string | undefined;
  text(): Promise<string>;
  /** The body piece by piece, at the reader's pace. Leaving it early ends the request. */
  pieces(): AsyncIterable<Uint8Array>;
}

/** Carries one request. Rejects where there is no answer at all, with an error that says why. */
export type Transport = (request: TransportRequest) => Promise<TransportAnswer>;

/** A transport over `fetch`: the browser's own, or one that is like it. */
export function fetchTransport(fetch: typeof globalThis.fetch): Transport {
  return async ({ method, url, headers, body, signal }) => {
    const streamed = isAsyncIterable(body) && !(body instanceof ReadableStream);
    const sent = streamed ? toStream(body) : body;
    const init: RequestInit & { duplex?: "half" } = { method, headers, credentials: "same-origin" };
    if (signal) init.signal = signal;
    if (sent !== undefined) init.body = sent as BodyInit;
    if (sent instanceof ReadableStream) init.duplex = "half";
    const answer = await fetch(url, init);
    return {
      status: answer.status,
      header: (name) => answer.headers.get(name) ?? undefined,
      text: () => answer.text(),
      pieces: () => piecesOf(answer.body),
    };
  };
}

async function* piecesOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  if (!body) return;
  const reader = body.getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield value;
    }
    ended = true;
  } finally {
    if (!ended) reader.cancel().catch(() => {});
  }
}

function isAsyncIterable(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

function toStream(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
