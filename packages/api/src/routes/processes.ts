import {
  ClawdspaceError,
  ListProcessesQuerySchema,
  MessageSchema,
  ProcessAnswerSchema,
  ProcessListSchema,
  ProcessOutputQuerySchema,
  ProcessParamsSchema,
  ProcessStdinSchema,
  SignalProcessRequestSchema,
  SpaceParamsSchema,
  StartProcessRequestSchema,
  TerminalSizeSchema,
  WaitProcessRequestSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod, ZodTypeProvider } from "fastify-type-provider-zod";
import { disconnectSignal } from "../http/disconnect.js";
import { sendNdjson } from "../http/ndjson.js";
import type { Services } from "../services.js";

export const processRoutes =
  ({ processes }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const params = ProcessParamsSchema;
    const path = "/:name/processes/:id";

    app.post(
      "/:name/processes",
      {
        schema: {
          params: SpaceParamsSchema,
          body: StartProcessRequestSchema,
          response: { 201: ProcessAnswerSchema },
        },
      },
      async (request, reply) => {
        const process = await processes.start(request.params.name, request.body);
        return await reply.status(201).send({ process });
      },
    );

    app.get(
      "/:name/processes",
      {
        schema: {
          params: SpaceParamsSchema,
          querystring: ListProcessesQuerySchema,
          response: { 200: ProcessListSchema },
        },
      },
      async (request) => ({
        processes: await processes.list(request.params.name, request.query.tag),
      }),
    );

    app.get(
      path,
      { schema: { params, response: { 200: ProcessAnswerSchema } } },
      async (request) => ({
        process: await processes.get(request.params.name, request.params.id),
      }),
    );

    app.post(
      `${path}/wait`,
      {
        schema: { params, body: WaitProcessRequestSchema, response: { 200: ProcessAnswerSchema } },
      },
      async (request, reply) => {
        const { name, id } = request.params;
        const signal = disconnectSignal(reply);
        return { process: await processes.wait(name, id, request.body?.timeoutMs, signal) };
      },
    );

    app.get(
      `${path}/output`,
      { schema: { params, querystring: ProcessOutputQuerySchema } },
      async (request, reply) => {
        const { name, id } = request.params;
        const signal = disconnectSignal(reply);
        const events = processes.output(name, id, request.query, signal);
        await sendNdjson(request, reply, events, signal);
      },
    );

    await app.register(async (scope) => {
      const raw = scope.withTypeProvider<ZodTypeProvider>();
      raw.addContentTypeParser(
        ["application/octet-stream", "text/plain"],
        { parseAs: "buffer" },
        async (_request: unknown, body: Buffer | string) => body,
      );
      raw.post(
        `${path}/stdin`,
        { schema: { params, response: { 200: MessageSchema } } },
        async (request) => {
          const { name, id } = request.params;
          const { data, close } = toInput(request.body);
          await processes.writeStdin(name, id, data, close);
          return { message: `${data.length} bytes written${close ? ", stdin closed" : ""}` };
        },
      );
    });

    app.post(
      `${path}/stdin/close`,
      { schema: { params, response: { 200: MessageSchema } } },
      async (request) => {
        const { name, id } = request.params;
        await processes.writeStdin(name, id, Buffer.alloc(0), true);
        return { message: "stdin closed" };
      },
    );

    app.post(
      `${path}/resize`,
      { schema: { params, body: TerminalSizeSchema, response: { 200: MessageSchema } } },
      async (request) => {
        const { name, id } = request.params;
        const { cols, rows } = request.body;
        await processes.resize(name, id, cols, rows);
        return { message: `The terminal has ${cols} columns and ${rows} rows` };
      },
    );

    app.post(
      `${path}/signal`,
      { schema: { params, body: SignalProcessRequestSchema, response: { 200: MessageSchema } } },
      async (request) => {
        const { name, id } = request.params;
        const { signal, scope = "group" } = request.body;
        await processes.signal(name, id, signal, scope);
        return { message: `${signal} sent` };
      },
    );

    app.delete(path, { schema: { params, response: { 200: MessageSchema } } }, async (request) => {
      const { name, id } = request.params;
      await processes.remove(name, id);
      return { message: `Process "${id}" ended and forgotten` };
    });
  };

/** Raw bytes are input as they are; JSON says what is. Throws `invalid_request`. */
function toInput(body: unknown): { data: Buffer; close: boolean } {
  if (Buffer.isBuffer(body)) return { data: body, close: false };
  const parsed = ProcessStdinSchema.safeParse(body ?? {});
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => ({
      path: path.join("."),
      message,
    }));
    const text = issues.map(({ path, message }) => (path ? `${path}: ${message}` : message));
    throw new ClawdspaceError("invalid_request", `The request is not valid. ${text.join("; ")}`, {
      issues,
    });
  }
  const { data, dataBase64, close = false } = parsed.data;
  const bytes =
    dataBase64 === undefined ? Buffer.from(data ?? "") : Buffer.from(dataBase64, "base64");
  return { data: bytes, close };
}
