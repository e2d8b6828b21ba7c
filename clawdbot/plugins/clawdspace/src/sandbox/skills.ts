import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ClawdspaceError, type SpaceHandle } from "@clawdspace/client";
import { copyFolder } from "./copy-folder.js";

/** Where the host tells an agent that its skills are. */
const PLACE = "/.openclaw/sandbox-skills";

/** Keeps the skills in spaces as they are on the host, where what an agent may use of them lies in one folder. */
export class Skills {
  readonly #copied = new Map<string, string>();

  /** Copies them where they differ from what was copied last. */
  async bring(space: SpaceHandle, spaceId: string, folder: string): Promise<void> {
    const hash = await hashOf(folder);
    if (hash === undefined || this.#copied.get(spaceId) === hash) return;
    await space.files.remove(PLACE, { recursive: true }).catch((error: unknown) => {
      if (!(error instanceof ClawdspaceError && error.code === "not_found")) throw error;
    });
    await copyFolder(space, folder, PLACE);
    this.#copied.set(spaceId, hash);
  }
}

/** Of all names and contents, as the host writes the files anew each time; undefined where there is no folder. */
async function hashOf(folder: string): Promise<string | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    () => undefined,
  );
  if (entries === undefined) return undefined;
  const files = entries
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name));
  const hash = createHash("sha256");
  for (const file of files.sort()) hash.update(`${file}\0`).update(await readFile(file));
  return hash.digest("hex");
}
