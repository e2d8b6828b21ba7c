import type { Context } from "../context.js";
import { formatAge, formatBytes } from "../output.js";

export async function run(
  context: Context,
  [name]: [string],
  { all, tag }: { all?: boolean; tag?: string },
): Promise<undefined> {
  const { out } = context;
  const space = await context.space(name);
  const listed = await space.processes.list(tag === undefined ? {} : { tag });
  const processes = listed.filter(({ managed }) => managed || all);
  out.result({ processes }, () =>
    out.table(
      ["ID", "PID", "STATUS", "AGE", "OUTPUT", "TAG", "COMMAND"],
      processes.map((process) => {
        const command = [process.command].flat().join(" ").replace(/\s+/g, " ");
        const age = process.startedAt ? formatAge(process.startedAt) : "";
        if (!process.managed) return ["-", `${process.pid}`, "running", age, "", "", command];
        const { id, pid, status, exitCode, outputEnd, session } = process;
        const state = status === "exited" ? `exited (${exitCode})` : status;
        const label = process.tag ?? (session ? `session ${session}` : "");
        return [id.slice(0, 12), `${pid}`, state, age, formatBytes(outputEnd), label, command];
      }),
    ),
  );
}
