import {
  ChmodFileRequestSchema,
  CopyFileRequestSchema,
  FileContentSchema,
  FileListSchema,
  FileStatAnswerSchema,
  FilesChangedSchema,
  FileWrittenSchema,
  ListFilesQuerySchema,
  MakeFolderRequestSchema,
  MoveFileRequestSchema,
  PlaceQuerySchema,
  ReadFileQuerySchema,
  RemoveFileQuerySchema,
  SpaceParamsSchema,
  WriteFileQuerySchema,
  WriteFileRequestSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { WorkspacePath } from "../files/workspace-path.js";
import { conditionsOf, etagHeader } from "../http/conditions.js";
import { disconnectSignal } from "../http/disconnect.js";
import type { Services } from "../services.js";

/**
 * The files of a space. Every path is rooted at /workspace and none leaves it; `pathBase64` names what is not UTF-8.
 *
 * | | |
 * |---|---|
 * | GET /files?path&limit&cursor | a folder's entries, a page of at most 10,000 |
 * | GET /file?path&maxBytes · PUT /file?path&append&mode {contentBase64} | a small file inside JSON |
 * | GET, HEAD, PUT /files/raw?path&append&mode | a file of any size as bytes: Range, ETag, If-Match, If-None-Match |
 * | GET /files/archive?path&format · PUT /files/archive?path | a folder as tar, tar.gz or zip, both ways |
 * | POST /files/upload?path | many files as multipart/form-data |
 * | GET /files/stat?path | what something is; symlinks tell their target |
 * | POST /files/mkdir, /files/move, /files/copy, /files/chmod | arranging |
 * | DELETE /files?path&recursive | |
 * | GET /files/find?path&glob · GET /files/grep?path&pattern | searching by name, by content |
 * | GET /files/watch?path&recursive | changes as server-sent events |
 */
export const fileRoutes =
  ({ files }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const params = SpaceParamsSchema;

    app.get(
      "/:name/files",
      { schema: { params, querystring: ListFilesQuerySchema, response: { 200: FileListSchema } } },
      async (request) =>
        await files.list(request.params.name, WorkspacePath.of(request.query), request.query),
    );

    app.get(
      "/:name/file",
      {
        schema: { params, querystring: ReadFileQuerySchema, response: { 200: FileContentSchema } },
      },
      async (request, reply) => {
        const content = await files.read(request.params.name, WorkspacePath.of(request.query), {
          maxBytes: request.query.maxBytes,
          signal: disconnectSignal(reply),
        });
        reply.headers(etagHeader(content.etag));
        return content;
      },
    );

    app.put(
      "/:name/file",
      {
        schema: {
          params,
          querystring: WriteFileQuerySchema,
          body: WriteFileRequestSchema,
          response: { 200: FileWrittenSchema },
        },
      },
      async (request, reply) => {
        const data = Buffer.from(request.body.contentBase64, "base64");
        const written = await files.write(
          request.params.name,
          WorkspacePath.of(request.query),
          data,
          { ...conditionsOf(request), ...request.query },
        );
        reply.headers(etagHeader(written.etag));
        return written;
      },
    );

    app.get(
      "/:name/files/stat",
      {
        schema: { params, querystring: PlaceQuerySchema, response: { 200: FileStatAnswerSchema } },
      },
      async (request) => ({
        stat: await files.stat(request.params.name, WorkspacePath.of(request.query)),
      }),
    );

    app.post(
      "/:name/files/mkdir",
      { schema: { params, body: MakeFolderRequestSchema, response: { 200: FilesChangedSchema } } },
      async (request) =>
        await files.makeFolder(request.params.name, WorkspacePath.of(request.body), request.body),
    );

    app.post(
      "/:name/files/move",
      { schema: { params, body: MoveFileRequestSchema, response: { 200: FilesChangedSchema } } },
      async (request) => {
        const { from, to } = fromTo(request.body);
        return await files.move(request.params.name, from, to, request.body);
      },
    );

    app.post(
      "/:name/files/copy",
      { schema: { params, body: CopyFileRequestSchema, response: { 200: FilesChangedSchema } } },
      async (request, reply) => {
        const { from, to } = fromTo(request.body);
        const { overwrite, recursive } = request.body;
        const options = { overwrite, recursive, signal: disconnectSignal(reply) };
        return await files.copy(request.params.name, from, to, options);
      },
    );

    app.post(
      "/:name/files/chmod",
      { schema: { params, body: ChmodFileRequestSchema, response: { 200: FilesChangedSchema } } },
      async (request) =>
        await files.chmod(request.params.name, WorkspacePath.of(request.body), request.body.mode),
    );

    app.delete(
      "/:name/files",
      {
        schema: {
          params,
          querystring: RemoveFileQuerySchema,
          response: { 200: FilesChangedSchema },
        },
      },
      async (request, reply) =>
        await files.remove(request.params.name, WorkspacePath.of(request.query), {
          recursive: request.query.recursive ?? false,
          signal: disconnectSignal(reply),
        }),
    );
  };

interface FromTo {
  from?: string | undefined;
  fromBase64?: string | undefined;
  to?: string | undefined;
  toBase64?: string | undefined;
}

const fromTo = (body: FromTo) => ({
  from: WorkspacePath.of({ path: body.from, pathBase64: body.fromBase64 }, "from"),
  to: WorkspacePath.of({ path: body.to, pathBase64: body.toBase64 }, "to"),
});
