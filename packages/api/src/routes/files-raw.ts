import {
  FileWrittenSchema,
  PlaceQuerySchema,
  SpaceParamsSchema,
  WriteFileQuerySchema,
} from "@clawdspace/protocol";
import type { FastifyReply } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import type { FileFacts } from "../files/space-files.js";
import { NotModified } from "../files/transfers.js";
import { WorkspacePath } from "../files/workspace-path.js";
import { byteRange } from "../http/byte-range.js";
import { conditionsOf, etagHeader, etagsOf } from "../http/conditions.js";
import { disconnectSignal } from "../http/disconnect.js";
import { refuseRest } from "../http/linger.js";
import { takeStreams } from "../http/streams.js";
import type { Services } from "../services.js";

const BytesSchema = z.unknown().meta({ type: "string", format: "binary" });

/** Files as bytes, of any size; bodies of any type are taken as they are. */
export const rawFileRoutes =
  ({ transfers }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    takeStreams(app);
    const params = SpaceParamsSchema;
    const schema = { params, querystring: PlaceQuerySchema };

    app.head("/:name/files/raw", { schema: { ...schema, hide: true } }, async (request, reply) => {
      const path = WorkspacePath.of(request.query);
      try {
        const facts = await transfers.look(request.params.name, path, conditionsOf(request));
        describe(reply, path, facts);
        reply.header("content-length", facts.size);
      } catch (error) {
        if (!(error instanceof NotModified)) throw error;
        describe(reply, path, error.facts).status(304);
      }
      return reply.send();
    });

    app.get(
      "/:name/files/raw",
      {
        schema: { ...schema, response: { 200: BytesSchema, 206: BytesSchema, 304: z.null() } },
        exposeHeadRoute: false,
      },
      async (request, reply) => {
        const path = WorkspacePath.of(request.query);
        const range = (facts: FileFacts) => {
          reply.header("content-range", `bytes */${facts.size}`);
          const wanted = byteRange(request.headers.range, facts.size);
          reply.removeHeader("content-range");
          return wanted;
        };
        try {
          const opened = await transfers.open(request.params.name, path, {
            ...conditionsOf(request),
            ...(request.headers.range ? { range } : {}),
            ifRange: etagsOf(ifRangeOf(request.headers["if-range"])),
            signal: disconnectSignal(reply),
          });
          const { start, end } = opened.range ?? { start: 0, end: opened.facts.size };
          describe(reply, path, opened.facts).header("content-length", end - start);
          if (opened.range) {
            reply.status(206);
            reply.header("content-range", `bytes ${start}-${end - 1}/${opened.facts.size}`);
          }
          return await reply.send(opened.stream);
        } catch (error) {
          if (!(error instanceof NotModified)) throw error;
          return await describe(reply, path, error.facts).status(304).send();
        }
      },
    );

    app.put(
      "/:name/files/raw",
      {
        schema: {
          params,
          querystring: WriteFileQuerySchema,
          consumes: ["application/octet-stream"],
          body: BytesSchema,
          response: { 200: FileWrittenSchema },
        },
      },
      async (request, reply) => {
        try {
          const written = await transfers.write(
            request.params.name,
            WorkspacePath.of(request.query),
            request.raw,
            { ...conditionsOf(request), ...request.query },
          );
          reply.headers(etagHeader(written.etag));
          return written;
        } catch (error) {
          refuseRest(request, reply);
          throw error;
        }
      },
    );
  };

/** What an answer says of a file. Whatever is in it, a browser neither runs nor shows it. */
function describe(reply: FastifyReply, path: WorkspacePath, facts: FileFacts): FastifyReply {
  const name = encodeURIComponent(path.name.toString("utf8")).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return reply
    .header("content-type", "application/octet-stream")
    .header("content-disposition", `attachment; filename*=UTF-8''${name}`)
    .header("content-security-policy", "sandbox; default-src 'none'")
    .header("cache-control", "no-cache")
    .header("accept-ranges", "bytes")
    .header("last-modified", new Date(facts.mtimeMs).toUTCString())
    .headers(etagHeader(facts.etag));
}

const ifRangeOf = (header: string | string[] | undefined) =>
  Array.isArray(header) ? header.join(",") : header;
