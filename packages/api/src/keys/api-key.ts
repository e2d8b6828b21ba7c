import { randomBytes } from "node:crypto";
import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * The key kept in the config folder (file "api-key", mode 0600), made where there is none.
 * `created` says that it was made now, so that it can be shown this once.
 */
export async function loadApiKey(
  configDir: string,
): Promise<{ key: string; created: boolean; file: string }> {
  const file = join(configDir, "api-key");
  await mkdir(configDir, { recursive: true, mode: 0o700 });
  const key = `clawdspace_sk_live_${randomBytes(16).toString("hex")}`;
  try {
    // "wx" lets one of two daemons that start at once make the key; the other reads it.
    const handle = await open(file, "wx", 0o600);
    await handle.writeFile(`${key}\n`);
    await handle.close();
    return { key, created: true, file };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const kept = (await readFile(file, "utf8")).trim();
  if (kept.length < 16)
    throw new Error(`${file} holds no key. Remove it to get a new one, or set API_KEY.`);
  return { key: kept, created: false, file };
}
