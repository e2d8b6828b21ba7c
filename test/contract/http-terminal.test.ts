import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { ask } from "../support/answers.js";
import { type Daemon, startDaemon } from "../support/daemon.js";

/** A terminal as a client of the contract has it: what it shows so far, and ways to type. */
class Terminal {
  output = Buffer.alloc(0);
  readonly texts: string[] = [];
  closed: { code: number; reason: string } | undefined;

  private constructor(readonly socket: WebSocket) {
    socket.on("message", (data: Buffer, binary) => {
      if (binary) this.output = Buffer.concat([this.output, data]);
      else this.texts.push(data.toString());
    });
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    socket.on("error", () => {});
  }

  static async open(url: string, headers: Record<string, string> = {}): Promise<Terminal> {
    const terminal = new Terminal(new WebSocket(url, { headers }));
    await once(terminal.socket, "open");
    return terminal;
  }

  send(message: unknown): void {
    this.socket.send(JSON.stringify(message));
  }

  type(data: string): void {
    this.send({ type: "input", data });
  }

  async shows(text: RegExp): Promise<void> {
    await expect.poll(() => this.output.toString(), { timeout: 15_000 }).toMatch(text);
  }

  async ends(): Promise<{ code: number; reason: string }> {
    await expect.poll(() => this.closed, { timeout: 15_000 }).toBeDefined();
    return this.closed ?? { code: 0, reason: "" };
  }
}

describe.each([
  ["the guest agent", "on"],
  ["execs of the engine", "off"],
])("WS /api/spaces/:name/terminal by %s", (_what, guest) => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    await daemon.space("box", { env: { SPACE: "own" } });
  });
  afterAll(() => daemon.stop());

  const url = (space = "box", query = `key=${daemon.key}`) =>
    `${daemon.url.replace("http", "ws")}/api/spaces/${space}/terminal?${query}`;
  const open = () => Terminal.open(url());

  /** The status of an upgrade that is refused, with the error's body. */
  const refused = async (address: string, headers: Record<string, string> = {}) => {
    const socket = new WebSocket(address, { headers });
    socket.on("error", () => {});
    const [, answer] = await once(socket, "unexpected-response");
    const pieces: Buffer[] = [];
    for await (const piece of answer) pieces.push(piece);
    return { status: answer.statusCode, body: JSON.parse(Buffer.concat(pieces).toString()) };
  };

  test("needs the key, by header or query, and a space", async () => {
    expect(await refused(url("box", ""))).toEqual({
      status: 401,
      body: { error: "Unauthorized", code: "unauthorized" },
    });
    expect((await refused(url("box", "key=wrong"))).status).toBe(401);
    expect((await refused(url("box", ""), { authorization: "Bearer wrong" })).status).toBe(401);
    expect((await refused(url("no-such"))).body).toMatchObject({ code: "not_found" });
    expect((await refused(url("a.b"))).status).toBe(400);
    const terminal = await Terminal.open(url("box", ""), {
      authorization: `Bearer ${daemon.key}`,
    });
    terminal.socket.close();
  });

  test("is a login bash with a TTY, in /workspace, as the space's user, with its env", async () => {
    const terminal = await open();
    terminal.type(
      'echo "<$0|$(tty)|$(pwd)|$(id -u)|$SPACE|$TERM>"; shopt -q login_shell && echo is-login\n',
    );
    await terminal.shows(/<-?bash\|\/dev\/pts\/\d+\|\/workspace\|1001\|own\|\S+>\r\n/);
    await terminal.shows(/^is-login\r?$/m);
    terminal.socket.close();
  });

  test("takes JSON input, and any other frame as it is", async () => {
    const terminal = await open();
    terminal.type("echo by-json\n");
    await terminal.shows(/^by-json/m);
    terminal.socket.send("echo by-text\n");
    await terminal.shows(/^by-text/m);
    terminal.socket.send(Buffer.from("echo by-bytes\n"));
    await terminal.shows(/^by-bytes/m);
    for (const odd of ['{"type":"unknown"}', "{broken", "[1]", '{"type":"input"}']) {
      terminal.socket.send(` : '${odd}'\n`);
    }
    terminal.socket.send("echo still-here\n");
    await terminal.shows(/^still-here/m);
    terminal.socket.close();
  });

  test("answers a ping with a pong", async () => {
    const terminal = await open();
    terminal.send({ type: "ping" });
    await expect
      .poll(() => terminal.texts.map((each) => JSON.parse(each)))
      .toContainEqual({
        type: "pong",
      });
    terminal.socket.close();
  });

  test("is as large as the last resize says", async () => {
    const terminal = await open();
    terminal.send({ type: "resize", cols: 123, rows: 45 });
    await delay(200);
    terminal.type("stty size\n");
    await terminal.shows(/^45 123\r$/m);
    terminal.send({ type: "resize", cols: 80, rows: 24 });
    await delay(200);
    terminal.type("stty size\n");
    await terminal.shows(/^24 80\r$/m);
    terminal.socket.close();
  });

  test("passes keys: an interrupt, an end of file, UTF-8 in both directions", async () => {
    const terminal = await open();
    terminal.type("sleep 1000\n");
    await delay(300);
    terminal.type("\u0003");
    terminal.type("echo after-$?\n");
    await terminal.shows(/^after-130/m);
    terminal.type("echo 'ü☃🦞' | od -An -tx1 | tr -d ' '\n");
    await terminal.shows(/c3bce29883f09fa69e0a/);
    terminal.type("cat; echo ended\n");
    await delay(200);
    terminal.type("\u0004");
    await terminal.shows(/^ended/m);
    terminal.socket.close();
  });

  test("gives a flood whole and in order", async () => {
    const terminal = await open();
    terminal.type("stty -echo; PS1=; clear\n");
    await delay(300);
    terminal.type("seq 1 60000; echo that-is-all\n");
    await terminal.shows(/^that-is-all/m);
    const lines = terminal.output.toString().split(/\r?\n/);
    const first = lines.lastIndexOf("1");
    expect(lines.slice(first, first + 60_000)).toEqual(
      Array.from({ length: 60_000 }, (_, index) => `${index + 1}`),
    );
    terminal.socket.close();
  });

  test("closes when the shell ends", async () => {
    const terminal = await open();
    terminal.type("exit 3\n");
    const { code } = await terminal.ends();
    expect(code).toBeGreaterThanOrEqual(1000);
    expect(code).not.toBe(1006);
  });

  test("ends its shell when the client goes away, however it goes", async () => {
    const shells = async () =>
      (await ask(daemon, "POST", "/api/spaces/box/exec", { command: "pgrep -xc bash; true" })).body
        .stdout;
    await expect.poll(shells, { timeout: 10_000 }).toBe("0");
    const [one, two] = [await open(), await open()];
    await expect.poll(shells, { timeout: 10_000 }).toBe("2");
    one.socket.close();
    two.socket.terminate();
    await expect.poll(shells, { timeout: 10_000 }).toBe("0");
  });

  test("wakes a sleeping space, and closes with the space's end", async () => {
    await daemon.space("other");
    await ask(daemon, "POST", "/api/spaces/other/stop");
    const terminal = await Terminal.open(url("other"));
    terminal.type("echo woke\n");
    await terminal.shows(/^woke/m);
    await ask(daemon, "DELETE", "/api/spaces/other?removeVolume=1");
    expect((await terminal.ends()).code).not.toBe(1006);
  });
});
