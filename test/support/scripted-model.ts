import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ToolCall {
  name: string;
  args: object;
}
interface Message {
  role: string;
  content: unknown;
}

/** Stands in for a model: speaks the chat completions API, and answers with the tool calls that a test lays down. */
export class ScriptedModel {
  #calls: ToolCall[] = [];
  #trigger = "";
  #results: string[] = [];
  #tools: string[] = [];

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(): Promise<ScriptedModel> {
    let model: ScriptedModel | undefined;
    const server = createServer((request, response) => {
      model?.answer(request, response).catch((error) => response.destroy(error));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    model = new ScriptedModel(server, `http://127.0.0.1:${port}/v1`);
    return model;
  }

  /** Lays down what it answers to a message that holds `trigger`: one call after the other, then "done". */
  plan(trigger: string, calls: ToolCall[]): void {
    this.#trigger = trigger;
    this.#calls = calls;
    this.#results = [];
  }

  /** What the host's tools answered, in the order of the calls. */
  get results(): string[] {
    return this.#results;
  }

  /** Names of the tools that the host offered last. */
  get tools(): string[] {
    return this.#tools;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const { messages, tools = [] } = JSON.parse(Buffer.concat(pieces).toString()) as {
      messages: Message[];
      tools?: { function: { name: string } }[];
    };
    const asked = messages.findLastIndex(
      ({ role, content }) => role === "user" && text(content).includes(this.#trigger),
    );
    const results = messages.slice(asked).filter(({ role }) => role === "tool");
    if (asked >= 0) {
      this.#results = results.map(({ content }) => text(content));
      this.#tools = tools.map((tool) => tool.function.name);
    }
    const call = asked < 0 ? undefined : this.#calls[results.length];
    const delta = call
      ? {
          tool_calls: [
            {
              ...{ index: 0, id: `call_${asked}_${results.length}`, type: "function" },
              function: { name: call.name, arguments: JSON.stringify(call.args) },
            },
          ],
        }
      : { content: "done" };
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (choice: object) =>
      response.write(
        `data: ${JSON.stringify({
          ...{ id: "scripted", object: "chat.completion.chunk", created: 1, model: "scripted" },
          choices: [{ index: 0, ...choice }],
        })}\n\n`,
      );
    send({ delta: { role: "assistant", ...delta }, finish_reason: null });
    send({ delta: {}, finish_reason: call ? "tool_calls" : "stop" });
    response.end("data: [DONE]\n\n");
  }
}

const text = (content: unknown) =>
  typeof content === "string" ? content : JSON.stringify(content ?? "");
