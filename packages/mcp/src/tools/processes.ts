import type { Clawdspace, ManagedProcess } from "@clawdspace/client";
import { outputBytes } from "@clawdspace/client";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { answer, data, toAnswer } from "../answer.js";
import { defined } from "../defined.js";
import { cutMiddle } from "../for-models.js";
import { command, cwd, doneShape, env, processShape, space } from "../schemas.js";

const id = z.string().describe("Of the process, as start_process and list_processes tell it");

/** Programs that go on in the background. */
export function addProcessTools(server: McpServer, clawdspace: Clawdspace): void {
  server.registerTool(
    "start_process",
    {
      title: "Start process",
      description:
        "Starts a command in the background, such as a server, and returns at once. It goes on when this client is gone. Read it with read_process_output.",
      inputSchema: {
        space,
        command,
        cwd,
        env,
        tag: z.string().optional().describe("A name of your own, to find it by"),
      },
      outputSchema: processShape,
      annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
    },
    ({ space: name, command: what, ...options }) =>
      toAnswer(async () =>
        data(toShape(await clawdspace.space(name).processes.start(what, options))),
      ),
  );

  server.registerTool(
    "list_processes",
    {
      title: "List processes",
      description: "Lists the processes that were started through Clawdspace in a space.",
      inputSchema: { space, tag: z.string().optional() },
      outputSchema: { processes: z.array(z.object(processShape)) },
      annotations: { readOnlyHint: true },
    },
    ({ space: name, tag }) =>
      toAnswer(async () => {
        const all = await clawdspace.space(name).processes.list(defined({ tag }));
        return data({ processes: all.filter((each) => each.managed).map(toShape) });
      }),
  );

  server.registerTool(
    "read_process_output",
    {
      title: "Read process output",
      description:
        "Gives what a background process has written since a byte offset, and the offset to ask from next. With waitMs it waits that long for the process to end first.",
      inputSchema: {
        space,
        id,
        from: z.number().int().min(0).optional().describe("The first byte wanted (default 0)"),
        waitMs: z.number().int().min(0).max(600_000).optional(),
      },
      outputSchema: {
        status: z.string(),
        exitCode: z.number().optional(),
        output: z.string().describe("stdout and stderr, as they came"),
        next: z.number().describe("Ask from here for what comes later"),
        droppedBytes: z.number().optional().describe("Output that is not kept any more"),
      },
      annotations: { readOnlyHint: true },
    },
    ({ space: name, id: process, from = 0, waitMs }, { signal }) =>
      toAnswer(async () => {
        const { processes } = clawdspace.space(name);
        const { status, exitCode } =
          waitMs === undefined
            ? await processes.get(process)
            : await processes.wait(process, { timeoutMs: waitMs, signal });
        const decoder = new TextDecoder();
        let output = "";
        let next = from;
        let droppedBytes = 0;
        for await (const each of processes.output(process, { from, follow: false, signal })) {
          if (each.type === "stdout" || each.type === "stderr") {
            const bytes = outputBytes(each);
            output += decoder.decode(bytes, { stream: true });
            next = each.offset + bytes.length;
          } else if (each.type === "dropped") {
            droppedBytes += each.bytes;
            next = each.offset + each.bytes;
          }
        }
        const state = exitCode === undefined ? status : `exited with code ${exitCode}`;
        const text = `${state}; next offset ${next}\n${cutMiddle(output)}`;
        return answer(text, {
          ...{ status, output, next },
          ...defined({ exitCode }),
          ...(droppedBytes > 0 ? { droppedBytes } : {}),
        });
      }),
  );

  server.registerTool(
    "write_process_input",
    {
      title: "Write to process",
      description: "Writes a text to a background process's stdin; `close` ends its input.",
      inputSchema: { space, id, text: z.string(), close: z.boolean().optional() },
      outputSchema: doneShape,
      annotations: { readOnlyHint: false, destructiveHint: false },
    },
    ({ space: name, id: process, text, close }) =>
      toAnswer(async () => {
        const { processes } = clawdspace.space(name);
        if (text !== "") await processes.stdin(process, text);
        if (close) await processes.closeStdin(process);
        const message = `${text.length} characters written${close ? ", stdin closed" : ""}`;
        return answer(message, { message });
      }),
  );

  server.registerTool(
    "stop_process",
    {
      title: "Stop process",
      description: "Sends a signal to a background process and everything it started.",
      inputSchema: {
        space,
        id,
        signal: z.string().optional().describe('Such as "SIGTERM" (default), "SIGINT", "SIGKILL"'),
      },
      outputSchema: doneShape,
      annotations: { readOnlyHint: false, destructiveHint: true },
    },
    ({ space: name, id: process, signal = "SIGTERM" }) =>
      toAnswer(async () => {
        await clawdspace.space(name).processes.signal(process, signal, "all");
        const message = `${signal} sent`;
        return answer(message, { message });
      }),
  );
}

function toShape(process: ManagedProcess) {
  const { id, pid, command: what, tag, status, exitCode, startedAt, outputEnd } = process;
  return {
    ...{ id, pid, command: what, status, startedAt, outputEnd },
    ...defined({ tag, exitCode }),
  };
}
