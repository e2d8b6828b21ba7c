import type { Readable } from "node:stream";
import {
  ClawdspaceError,
  PlaceQuerySchema,
  SpaceParamsSchema,
  UploadedFilesSchema,
} from "@clawdspace/protocol";
import multipart from "@fastify/multipart";
import type { FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { WorkspacePath } from "../files/workspace-path.js";
import { refuseRest } from "../http/linger.js";
import type { Services } from "../services.js";

const MAX_FILES = 10_000;
const MAX_HEADERS = 20;

/** Many files in one request, as a browser's form sends them: each part's file name is its path below `path`. */
export const uploadRoutes =
  ({ transfers }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    await app.register(multipart, {
      preservePath: true,
      limits: {
        fileSize: Number.POSITIVE_INFINITY,
        files: MAX_FILES,
        parts: MAX_FILES,
        fields: 0,
        headerPairs: MAX_HEADERS,
      },
    });
    app.post(
      "/:name/files/upload",
      {
        schema: {
          params: SpaceParamsSchema,
          querystring: PlaceQuerySchema,
          consumes: ["multipart/form-data"],
          response: { 200: UploadedFilesSchema },
        },
      },
      async (request, reply) => {
        try {
          const folder = WorkspacePath.of(request.query);
          return await transfers.writeMany(request.params.name, folder, partsOf(request));
        } catch (error) {
          refuseRest(request, reply);
          throw error;
        }
      },
    );
  };

async function* partsOf(
  request: FastifyRequest,
): AsyncGenerator<{ name: string; source: Readable }> {
  if (!request.isMultipart()) {
    throw new ClawdspaceError(
      "unsupported_media_type",
      "Send multipart/form-data with a file in each part, or PUT one file to /files/raw.",
    );
  }
  for await (const part of request.files()) yield { name: part.filename, source: part.file };
}
