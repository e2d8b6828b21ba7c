import { spawn } from "node:child_process";
import { once } from "node:events";
import type { SpaceHandle } from "@clawdspace/client";

/** Copies what is in a folder of this machine, by `tar`, into a folder of a space. Throws an error that says why not. */
export async function copyFolder(space: SpaceHandle, folder: string, to: string): Promise<void> {
  const tar = spawn("tar", ["-C", folder, "-cf", "-", "."], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(tar, "close");
  let complaint = "";
  tar.stderr.on("data", (data: Buffer) => {
    complaint = (complaint + data).slice(0, 1000);
  });
  try {
    const [, [code]] = await Promise.all([
      space.files.uploadArchive(to, tar.stdout as AsyncIterable<Uint8Array>),
      ended,
    ]);
    // 1: a file changed while it was read.
    if (code > 1) throw new Error(`tar ended with code ${code}: ${complaint}`);
  } catch (error) {
    tar.kill();
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${folder} could not be copied into the sandbox: ${why}`);
  }
}
