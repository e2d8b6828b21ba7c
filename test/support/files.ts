import { request as httpRequest, type IncomingMessage } from "node:http";
import { type Daemon, docker } from "./daemon.js";

/** A name or path as a query: as text where it is UTF-8, else as bytes. */
export const at = (path: string | Buffer, rest = ""): string =>
  Buffer.isBuffer(path)
    ? `pathBase64=${encodeURIComponent(path.toString("base64"))}${rest}`
    : `path=${encodeURIComponent(path)}${rest}`;

/** The files of one space, as a client asks for them. */
export class SpaceFilesClient {
  constructor(
    readonly daemon: Daemon,
    readonly space: string,
  ) {}

  url = (rest: string) => `/api/spaces/${this.space}${rest}`;

  async put(path: string | Buffer, content: string | Buffer, headers: Record<string, string> = {}) {
    return await this.send("PUT", `/files/raw?${at(path)}`, Buffer.from(content), headers);
  }

  /** A request whose body, where there is one, is bytes. */
  async send(
    method: string,
    rest: string,
    body?: Buffer,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const type = { "content-type": "application/octet-stream" };
    return await this.daemon.request(method, this.url(rest), body, {
      headers: { ...(body ? type : {}), ...headers },
    });
  }

  /** A file's content; fails the test where there is none. */
  async text(path: string | Buffer): Promise<string> {
    const answer = await this.send("GET", `/files/raw?${at(path)}`);
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`);
    return text;
  }

  async json(method: string, rest: string, body?: unknown) {
    return await this.daemon.json(method, this.url(rest), body);
  }

  async names(path: string): Promise<string[]> {
    const { status, body } = await this.json("GET", `/files?${at(path)}`);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    return body.entries.map(({ name }: { name: string }) => name);
  }

  /** A command in the space, by the engine itself, so that no part under test takes part. */
  async inside(
    command: string,
    options: { user?: string; detach?: boolean } = {},
  ): Promise<string> {
    const container = docker.getContainer(await this.containerId());
    const exec = await container.exec({
      Cmd: ["sh", "-c", command],
      User: options.user ?? "1001:1001",
      WorkingDir: "/workspace",
      AttachStdout: !options.detach,
      AttachStderr: !options.detach,
      Tty: true,
    });
    if (options.detach) {
      await exec.start({ Detach: true });
      return "";
    }
    const stream = await exec.start({ Tty: true });
    const pieces: Buffer[] = [];
    for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece);
    const output = Buffer.concat(pieces).toString().replaceAll("\r\n", "\n");
    for (;;) {
      const { Running, ExitCode } = await exec.inspect();
      if (Running) continue;
      if (ExitCode === 0) return output;
      throw new Error(`${command}: ${ExitCode} ${output}`);
    }
  }

  async containerId(): Promise<string> {
    const { body } = await this.daemon.json("GET", this.url(""));
    return body.space.id;
  }

  async status(): Promise<string> {
    const { body } = await this.daemon.json("GET", this.url(""));
    return body.space.status;
  }

  /** A request whose body is sent by `feed`, and which the caller may cut off. */
  stream(method: string, rest: string, headers: Record<string, string> = {}) {
    const request = httpRequest(`${this.daemon.url}${this.url(rest)}`, {
      method,
      headers: { authorization: `Bearer ${this.daemon.key}`, ...headers },
    });
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      request.on("response", resolve);
      request.on("error", reject);
    });
    answer.catch(() => {});
    /** Sends the request without a body, and resolves when the answer begins. */
    const answered = async () => {
      request.end();
      return await answer;
    };
    return { request, answer, answered };
  }
}
