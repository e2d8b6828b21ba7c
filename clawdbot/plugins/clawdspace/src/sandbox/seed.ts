import type { SpaceHandle } from "@clawdspace/client";
import { copyFolder } from "./copy-folder.js";

/**
 * Copies the host's workspace into a space whose own is empty: an agent finds its notes and instructions there. Where that
 * fails the space is removed, so that the next attempt begins anew.
 */
export async function seed(space: SpaceHandle, workspaceDir: string): Promise<void> {
  const { entries } = await space.files.list("/", { limit: 1 });
  // Kept from a space of this name.
  if (entries.length > 0) return;
  try {
    await copyFolder(space, workspaceDir, "/");
  } catch (error) {
    await space.remove({ removeVolume: true }).catch(() => {});
    throw new Error(
      `${(error as Error).message} With sandbox.seed false in the plugin's configuration it begins empty.`,
    );
  }
}
