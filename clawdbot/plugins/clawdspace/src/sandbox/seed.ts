import { spawn } from "node:child_process";
import { once } from "node:events";
import type { SpaceHandle } from "@clawdspace/client";

/**
 * Copies the host's workspace into a space whose own is empty: an agent finds its notes and instructions there. Where that
 * fails the space is removed, so that the next attempt begins anew. Throws `ClawdspaceError`.
 */
export async function seed(space: SpaceHandle, workspaceDir: string): Promise<void> {
  const { entries } = await space.files.list("/", { limit: 1 });
  // Kept from a space of this name.
  if (entries.length > 0) return;
  const tar = spawn("tar", ["-C", workspaceDir, "-cf", "-", "."], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(tar, "close");
  let complaint = "";
  tar.stderr.on("data", (data: Buffer) => {
    complaint = (complaint + data).slice(0, 1000);
  });
  try {
    const [, [code]] = await Promise.all([
      space.files.uploadArchive("/", tar.stdout as AsyncIterable<Uint8Array>),
      ended,
    ]);
    // 1: a file changed while it was read.
    if (code > 1) throw new Error(`tar ended with code ${code}: ${complaint}`);
  } catch (error) {
    tar.kill();
    await space.remove({ removeVolume: true }).catch(() => {});
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `The workspace ${workspaceDir} could not be copied into the sandbox: ${why} Set sandbox.seed to false in the plugin's configuration to begin with an empty one.`,
    );
  }
}
