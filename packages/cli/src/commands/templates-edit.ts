import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "../context.js";
import { CliError, describe } from "../failure.js";

/** Opens the editor until what it leaves is a valid template, or nothing was changed. */
export async function run(context: Context, [name]: [string]): Promise<undefined> {
  const { out } = context;
  const { templates } = await context.clawdspace();
  let before = (await templates.get(name)).yaml;
  const folder = await mkdtemp(join(tmpdir(), "clawdspace-"));
  const file = join(folder, `${name}.yaml`);
  try {
    await writeFile(file, before, { mode: 0o600 });
    for (;;) {
      await edit(context.environment, file);
      const after = await readFile(file, "utf8");
      if (after === before) {
        out.result({ name, changed: false }, () => "Nothing was changed.");
        return;
      }
      try {
        const template = await templates.put(after);
        out.result(
          { name: template.name, changed: true },
          () => `Template ${template.name} is kept.`,
        );
        return;
      } catch (error) {
        const { code, message } = describe(error);
        if (code !== "invalid_request" || !process.stdin.isTTY) throw error;
        before = after;
        const lines = message.replaceAll(/^/gm, "# ");
        await writeFile(file, `${lines}\n${after.replace(/^(# .*\n)+/, "")}`);
        before = await readFile(file, "utf8");
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function edit(environment: NodeJS.ProcessEnv, file: string): Promise<void> {
  const editor = environment.VISUAL || environment.EDITOR || "vi";
  return new Promise((resolve, reject) => {
    const child = spawn("/bin/sh", ["-c", `${editor} "$1"`, "sh", file], { stdio: "inherit" });
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve();
      else
        reject(
          new CliError(`The editor (${editor}) ended with code ${code}: nothing was changed.`),
        );
    });
  });
}
