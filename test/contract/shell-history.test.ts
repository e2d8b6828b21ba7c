import { setTimeout as delay } from "node:timers/promises";
import type { AuditEvent } from "@clawdspace/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { TerminalClient } from "../support/terminal.js";

const SLOW = { timeout: 20_000, interval: 100 };

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon({ HISTORY_INGEST_MS: "300" });
});
afterAll(() => daemon.stop());

const shellEvents = async (space: string): Promise<AuditEvent[]> =>
  (await ask(daemon, "GET", `/api/audit?limit=1000&type=space.shell&space=${space}`)).body.events;
const commands = async (space: string) =>
  (await shellEvents(space)).map(({ meta }) => meta?.command);
const status = async (space: string) =>
  (await ask(daemon, "GET", `/api/spaces/${space}`)).body.space.status;

/** Types lines into a shell of its own, and waits until it has run them. */
async function shell(space: string, lines: string[]): Promise<void> {
  const terminal = await TerminalClient.open(daemon, space);
  await terminal.sees("$ ");
  for (const line of lines) terminal.type(`${line}\n`);
  terminal.type('echo en""d\n');
  await terminal.sees("end\r\n");
  await delay(200);
  terminal.socket.close();
  await terminal.closed;
}

test("what is typed into a terminal is logged once, whole, marked as the space's own word", async () => {
  await daemon.space("typed");
  const loop = "for n in 1 2; do\n  echo $n\ndone";
  await shell("typed", ["echo one", loop, "export TOKEN=hunter2"]);
  const wanted = ["echo one", loop, "export TOKEN=***", 'echo en""d'];
  await expect.poll(() => commands("typed"), SLOW).toEqual(wanted);
  await delay(1000);
  expect(await commands("typed")).toEqual(wanted);
  for (const { meta, actor } of await shellEvents("typed")) {
    expect([meta?.source, actor]).toEqual(["bash_history", undefined]);
  }
});

test("nothing is lost or logged twice where the daemon is killed, and what was written meanwhile is found", async () => {
  await daemon.space("killed");
  await shell("killed", ["echo before"]);
  await expect.poll(() => commands("killed"), SLOW).toContain("echo before");
  await daemon.kill("SIGKILL");
  const container = docker.getContainer(`${daemon.namespace}-killed`);
  const write = await container.exec({
    Cmd: ["sh", "-c", "printf '#1700000000\\necho meanwhile\\n' >> /workspace/.bash_history"],
    User: "1001",
  });
  await write.start({});
  await daemon.run();
  await shell("killed", ["echo after"]);
  const wanted = ["echo before", 'echo en""d', "echo meanwhile", "echo after", 'echo en""d'];
  await expect.poll(() => commands("killed"), SLOW).toEqual(wanted);
  await daemon.restart("SIGTERM");
  await delay(1000);
  expect(await commands("killed")).toEqual(wanted);
});

test("a history that is emptied, cut or written anew is followed on, without anything twice", async () => {
  await daemon.space("cut");
  const run = async (command: string) =>
    expect((await ask(daemon, "POST", "/api/spaces/cut/exec", { command })).status).toBe(200);
  const logs = (...wanted: string[]) => expect.poll(() => commands("cut"), SLOW).toEqual(wanted);
  await run("printf '#1700000001\\none\\n#1700000002\\ntwo\\n' > .bash_history");
  await logs("one", "two");
  await run(": > .bash_history");
  await delay(700);
  await run("printf '#1700000003\\nthree\\n#1700000004\\nfour\\n' >> .bash_history");
  await logs("one", "two", "three", "four");
  // As `history -d` and `history -w` do: another file that holds some of the old.
  await run("printf '#1700000004\\nfour\\n#1700000005\\nfive\\n' > new && mv new .bash_history");
  await logs("one", "two", "three", "four", "five");
  await run("rm .bash_history; ln -s /etc/passwd .bash_history");
  await delay(700);
  expect(await commands("cut")).toHaveLength(5);
});

test("a sleeping space is read without being woken, once, and then costs no call to the engine", async () => {
  const names = ["asleep1", "asleep2", "asleep3"];
  await Promise.all(names.map((name) => daemon.space(name)));
  for (const name of names) {
    const command = `printf '#1700000001\\necho ${name}\\n' >> .bash_history`;
    await ask(daemon, "POST", `/api/spaces/${name}/exec`, { command });
    await ask(daemon, "POST", `/api/spaces/${name}/stop`);
  }
  for (const name of names) {
    await expect.poll(() => commands(name), SLOW).toEqual([`echo ${name}`]);
    expect(await status(name)).toBe("paused");
  }
  for (const name of ["typed", "killed", "cut"]) {
    await ask(daemon, "DELETE", `/api/spaces/${name}?removeVolume=1`);
  }
  const calls = async () => {
    const lines = (await (await daemon.request("GET", "/metrics")).text()).split("\n");
    return lines.filter((line) =>
      /^clawdspace_engine_calls_total.*(statPath|Archive|exec)/i.test(line),
    );
  };
  // Each is looked at once more, a second after the last change.
  await delay(2500);
  const before = await calls();
  await delay(2500);
  expect(await calls()).toEqual(before);
});

test("what a space's shell ran right before it is removed is logged", async () => {
  await daemon.space("gone");
  await shell("gone", ["echo last words"]);
  await ask(daemon, "DELETE", "/api/spaces/gone?removeVolume=1");
  expect(await commands("gone")).toContain("echo last words");
});
