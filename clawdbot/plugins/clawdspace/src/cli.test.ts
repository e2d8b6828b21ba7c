import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { addCli, type CliCommand } from "./cli.js";

/** Stands in for the host's commander: keeps what each usage runs. */
class Recorder implements CliCommand {
  constructor(
    readonly ran: Map<string, (...given: unknown[]) => Promise<void>>,
    private readonly path = "",
  ) {}
  command(name: string): CliCommand {
    return new Recorder(this.ran, `${this.path} ${name}`.trim());
  }
  description(): CliCommand {
    return this;
  }
  option(): CliCommand {
    return this;
  }
  action(run: (...given: unknown[]) => Promise<void>): CliCommand {
    this.ran.set(this.path, run);
    return this;
  }
}

const asked: object[] = [];
const printed = { stdout: "", stderr: "" };
let commands: Map<string, (...given: unknown[]) => Promise<void>>;

beforeEach(() => {
  asked.length = 0;
  for (const name of ["stdout", "stderr"] as const) {
    printed[name] = "";
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      printed[name] += text;
      return true;
    });
  }
  commands = new Map();
  addCli(new Recorder(commands), async (params) => {
    asked.push(JSON.parse(JSON.stringify(params)));
    if (params.space === "denied") throw new Error("not that one");
    const data =
      params.action === "exec" ? { exitCode: 3, stdout: "out", stderr: "err" } : { a: 1 };
    return { content: [{ type: "text", text: "told" }], data };
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

const run = async (usage: string, ...given: unknown[]) =>
  await commands.get(`clawdspace ${usage}`)?.(...given);

it("asks for what the arguments and options say", async () => {
  const folder = mkdtempSync(join(tmpdir(), "clawdspace-cli-"));
  const file = join(folder, "x");
  writeFileSync(file, "text");
  await run("spaces", {});
  await run("create <name>", "a", { template: "t", node: "n" });
  await run("rm <space>", "a", { volume: true });
  await run("audit [space]", undefined, {});
  await run("files ls <space> [path]", "a", "/b", {});
  await run("files put <space> <path> <file>", "a", "/b", file, {});
  await run("templates put <file>", file, {});
  rmSync(folder, { recursive: true });
  expect(asked).toEqual([
    { action: "list_spaces" },
    { action: "create_space", name: "a", template: "t", node: "n" },
    { action: "destroy_space", space: "a", removeVolume: true },
    { action: "audit" },
    { action: "files_list", space: "a", path: "/b" },
    { action: "files_put", space: "a", path: "/b", content: "text" },
    { action: "templates_put", yaml: "text" },
  ]);
  expect(printed.stdout).toBe("told\n".repeat(7));
});

it("prints what a command printed and ends with its code, or JSON, or what was refused", async () => {
  await run("exec <space> <command...>", "a", ["ls", "-l"], {});
  expect(asked).toEqual([{ action: "exec", space: "a", command: "ls -l" }]);
  expect(printed).toEqual({ stdout: "out", stderr: "err" });
  expect(process.exitCode).toBe(3);
  await run("stats <space>", "a", { json: true });
  expect(printed.stdout).toBe('out{"a":1}\n');
  await run("stop <space>", "denied", {});
  expect(printed.stderr).toBe("errclawdspace: not that one\n");
  expect(process.exitCode).toBe(1);
});
