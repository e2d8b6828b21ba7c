import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { loadSecret } from "./secret-file.js";

const LIFE_MS = 7 * 24 * 3600 * 1000;

const ClaimSchema = z.object({ keyId: z.string(), expiresAt: z.number() });

/**
 * Sessions of browsers: a signed claim that somebody showed a key, so that the key itself is not kept in the browser.
 * They outlive the daemon, whose signing secret is kept in a file, but not the owner's key: another one signs everybody out.
 */
export class Sessions {
  #secret: Promise<Buffer> | undefined;

  constructor(
    private readonly file: string,
    private readonly ownerKey: string,
  ) {}

  /** A token for the cookie, and how many seconds it is good for. */
  async create(keyId: string): Promise<{ token: string; maxAgeSeconds: number }> {
    const claim = JSON.stringify({ keyId, expiresAt: Date.now() + LIFE_MS });
    const payload = Buffer.from(claim).toString("base64url");
    return { token: `${payload}.${await this.#sign(payload)}`, maxAgeSeconds: LIFE_MS / 1000 };
  }

  /** The id of the key that a token was given for; undefined where it is forged or expired. */
  async verify(token: string): Promise<string | undefined> {
    const [payload = "", signature = ""] = token.split(".");
    const wanted = Buffer.from(await this.#sign(payload));
    const given = Buffer.from(signature);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
    const claim = ClaimSchema.parse(JSON.parse(Buffer.from(payload, "base64url").toString("utf8")));
    return claim.expiresAt > Date.now() ? claim.keyId : undefined;
  }

  async #sign(payload: string): Promise<string> {
    this.#secret ??= loadSecret(this.file).catch((error: unknown) => {
      this.#secret = undefined;
      throw error;
    });
    const key = createHmac("sha256", await this.#secret).update(`sessions\n${this.ownerKey}`);
    return createHmac("sha256", key.digest()).update(payload).digest("base64url");
  }
}
