import {
  type ArchiveFormat,
  ClawdspaceError,
  DownloadFolderQuerySchema,
  SpaceParamsSchema,
  UploadedArchiveSchema,
  UploadFolderQuerySchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { WorkspacePath } from "../files/workspace-path.js";
import { disconnectSignal } from "../http/disconnect.js";
import { refuseRest } from "../http/linger.js";
import { takeStreams } from "../http/streams.js";
import type { Services } from "../services.js";

const TYPES: Record<ArchiveFormat, string> = {
  tar: "application/x-tar",
  "tar.gz": "application/gzip",
  zip: "application/zip",
};
const FORMATS: Record<string, ArchiveFormat> = {
  "application/x-tar": "tar",
  "application/tar": "tar",
  "application/gzip": "tar.gz",
  "application/x-gzip": "tar.gz",
  "application/x-gtar": "tar",
  "application/zip": "zip",
  "application/x-zip-compressed": "zip",
};

const BytesSchema = z.unknown().meta({ type: "string", format: "binary" });

/** Folders as archives. */
export const archiveRoutes =
  ({ folders }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    takeStreams(app);
    const params = SpaceParamsSchema;

    app.get(
      "/:name/files/archive",
      {
        schema: {
          params,
          querystring: DownloadFolderQuerySchema,
          response: { 200: BytesSchema },
          description:
            "The trailer x-left-out counts the entries that could not be read by the space's user.",
        },
        exposeHeadRoute: false,
      },
      async (request, reply) => {
        const { format } = request.query;
        const path = WorkspacePath.of(request.query);
        const signal = disconnectSignal(reply);
        const { stream, leftOut } = await folders.download(request.params.name, path, {
          format,
          signal,
        });
        const name = path.isRoot ? request.params.name : path.name.toString("utf8");
        const file = encodeURIComponent(`${name}.${format}`).replaceAll("'", "%27");
        reply.header("content-type", TYPES[format]);
        reply.header("content-disposition", `attachment; filename*=UTF-8''${file}`);
        reply.header("cache-control", "no-store");
        reply.trailer("x-left-out", async () => String(leftOut()));
        return await reply.send(stream);
      },
    );

    app.put(
      "/:name/files/archive",
      {
        schema: {
          params,
          querystring: UploadFolderQuerySchema,
          consumes: Object.values(TYPES),
          body: BytesSchema,
          response: { 200: UploadedArchiveSchema },
        },
      },
      async (request, reply) => {
        try {
          const [type = ""] = (request.headers["content-type"] ?? "").split(";");
          const format = request.query.format ?? FORMATS[type.trim().toLowerCase()];
          if (!format) throw unknownFormat(type);
          const path = WorkspacePath.of(request.query);
          return await folders.upload(request.params.name, path, { format, source: request.raw });
        } catch (error) {
          refuseRest(request, reply);
          throw error;
        }
      },
    );
  };

const unknownFormat = (type: string) =>
  new ClawdspaceError(
    "unsupported_media_type",
    `An archive of the type "${type}" is not known. Send ${Object.values(TYPES).join(", ")}, or say ?format=.`,
  );
