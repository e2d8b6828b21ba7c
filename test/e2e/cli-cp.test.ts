import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cli } from "../support/cli.js";
import { Daemon } from "../support/daemon.js";

const run = promisify(execFile);
const NAMES = [
  "new\nline",
  "-rf",
  "'q\"$(touch x)`y`",
  "ünïcödé 🦞",
  "tab\tand\x1b[31m",
  "..hidden",
  " space ",
  "%2e%2e",
  "n".repeat(255),
];

let daemon: Daemon;
let cli: Cli;

beforeAll(async () => {
  daemon = await Daemon.start();
  cli = await Cli.of(daemon);
  await daemon.space("dev");
});
afterAll(async () => {
  await cli?.remove();
  await daemon?.stop();
});

/** What is below a folder: names, kinds, modes, contents, as one text. */
async function fingerprint(folder: string): Promise<string> {
  const script = `cd "$1" && find . -printf '%y %m %l %P\\0' | sed -z 's/^d [0-7]*/d/' | LC_ALL=C sort -z | sha256sum && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum`;
  return (await run("bash", ["-c", script, "bash", folder])).stdout;
}

it("copies a tree of hostile names there and back, exactly", async () => {
  const tree = join(cli.home, "tree");
  await mkdir(join(tree, "deep/er/empty"), { recursive: true });
  for (const name of NAMES) await writeFile(join(tree, "deep", name), `content of ${name}`);
  const bytes = Buffer.concat([Buffer.from(`${tree}/deep/er/`), Buffer.from([0xff, 0xfe, 0x0a])]);
  await writeFile(bytes, randomBytes(100_000));
  await symlink("../deep/-rf", join(tree, "link"));
  await symlink("/etc/passwd", join(tree, "absolute"));
  await symlink("nowhere", join(tree, "dangling"));
  await chmod(join(tree, "deep/-rf"), 0o751);

  expect(await cli.ok("cp", tree, "dev:/there")).toContain("✓");
  const inSpace = await cli.ok(
    "exec",
    "dev",
    "find there | wc -c; cat there/deep/-rf; ls x 2>&1 | wc -l",
  );
  expect(inSpace).toContain("content of -rf");
  await cli.ok("cp", "dev:/there", join(cli.home, "back"));
  expect(await fingerprint(join(cli.home, "back"))).toBe(await fingerprint(tree));
  // As cp -r: into a folder that is there, and only what is in it with a dot.
  await cli.ok("cp", tree, "dev:/there");
  await cli.ok("cp", "dev:/there/tree/.", join(cli.home, "inner"));
  expect(await fingerprint(join(cli.home, "inner"))).toBe(await fingerprint(tree));
  const { stdout } = await run(
    "bash",
    ["-c", `"$0" "$1" cp dev:/there/deep - | tar -t | wc -l`, process.execPath, cli.main],
    { env: cli.env },
  );
  expect(Number(stdout)).toBeGreaterThan(NAMES.length);
});

it("goes on where it was with --resume, and leaves no half of a file under its name", async () => {
  const folder = join(cli.home, "many");
  await mkdir(folder);
  for (let n = 0; n < 20; n++) await writeFile(join(folder, `${n}`), `${n}`.repeat(1000));
  await cli.ok("cp", folder, "dev:/many");
  await cli.ok("exec", "dev", "cd many && rm 3 4 && printf cut > 5");
  const up = await cli.json("cp", "--resume", `${folder}/.`, "dev:/many");
  expect(up).toMatchObject({ skipped: 17 });
  expect(await cli.ok("cat", "dev:/many/5")).toBe("5".repeat(1000));
  const here = join(cli.home, "here");
  await cli.ok("cp", "dev:/many", here);
  await rm(join(here, "7"));
  await truncate(join(here, "8"), 3);
  const down = await cli.json("cp", "--resume", "dev:/many/.", here);
  expect(down).toMatchObject({ entries: 2, skipped: 18 });
  expect(await fingerprint(here)).toBe(await fingerprint(folder));
});

it("pipes, files, and what isn't there", async () => {
  const bytes = randomBytes(20 * 1024 ** 2);
  expect((await cli.run(["cp", "-", "dev:/raw"], { input: bytes })).code).toBe(0);
  const back = await cli.run(["cp", "dev:/raw", "-"]);
  const hash = (data: Buffer) => createHash("sha256").update(data).digest("hex");
  expect(hash(back.bytes)).toBe(hash(bytes));
  await cli.ok("cp", "dev:/raw", cli.home);
  expect((await readFile(join(cli.home, "raw"))).equals(bytes)).toBe(true);
  expect((await cli.run(["put", "dev:/a b/c.txt", "--mode", "640"], { input: "hi" })).code).toBe(0);
  expect(await cli.ok("ls", "-l", "dev:/a b")).toMatch(/^-640 .* c\.txt$/m);
  expect(await cli.ok("ls", "dev:/there/deep")).not.toContain("\x1b");
  for (const args of [
    ["cp", "dev:/nope", "."],
    ["cp", "/nope", "dev:/x"],
    ["cat", "dev:/nope"],
  ]) {
    expect(await cli.run(args)).toMatchObject({ code: 1, stdout: "" });
  }
  expect(await cli.run(["cp", "dev:/../../etc/passwd", "-"])).toMatchObject({
    code: 1,
    stdout: "",
  });
});
