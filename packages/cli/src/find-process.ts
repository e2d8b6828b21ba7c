import type { ManagedProcess, SpaceHandle } from "@clawdspace/client";
import { CliError } from "./failure.js";

/** The process that a person means: by id, by the id's beginning, or by tag. */
export async function findProcess(space: SpaceHandle, wanted: string): Promise<ManagedProcess> {
  const all = (await space.processes.list()).filter((each) => each.managed);
  const exact = all.filter(({ id }) => id === wanted);
  const found =
    exact.length > 0 ? exact : all.filter(({ id, tag }) => tag === wanted || id.startsWith(wanted));
  const running = found.filter(({ status }) => status === "running");
  const [first, second] = found.length > 1 && running.length > 0 ? running : found;
  if (first && !second) return first;
  throw new CliError(
    first
      ? `"${wanted}" is the beginning, or the tag, of several processes.`
      : `There is no process "${wanted}" in ${space.name}.`,
    { hint: `\`clawdspace ps ${space.name}\` lists them.` },
  );
}
