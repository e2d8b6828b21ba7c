import { randomBytes } from "node:crypto";
import { mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";

const SECRET_BYTES = 32;

/** A secret of 32 bytes that is kept in a file (mode 0600), made at the first use. Throws where the file holds something else. */
export async function loadSecret(file: string): Promise<Buffer> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  try {
    // "wx" lets one of two daemons that start at once make the secret; the other reads it.
    const handle = await open(file, "wx", 0o600);
    await handle.writeFile(randomBytes(SECRET_BYTES).toString("hex"));
    await handle.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const secret = Buffer.from((await readFile(file, "utf8")).trim(), "hex");
  if (secret.length === SECRET_BYTES) return secret;
  throw new Error(
    `${file} holds no secret. Remove it: a new one is made, and what was signed with it ends.`,
  );
}
