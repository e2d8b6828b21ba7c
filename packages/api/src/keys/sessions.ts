import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";

const LIFE_MS = 7 * 24 * 3600 * 1000;

const ClaimSchema = z.object({ keyId: z.string(), expiresAt: z.number() });

/**
 * Sessions of browsers: a signed claim that somebody showed a key, so that the key itself is not kept in the browser.
 * The signing secret lives as long as the daemon: a restart signs everybody out.
 */
export class Sessions {
  readonly #secret = randomBytes(32);

  /** A token for the cookie, and how many seconds it is good for. */
  create(keyId: string): { token: string; maxAgeSeconds: number } {
    const claim = JSON.stringify({ keyId, expiresAt: Date.now() + LIFE_MS });
    const payload = Buffer.from(claim).toString("base64url");
    return { token: `${payload}.${this.#sign(payload)}`, maxAgeSeconds: LIFE_MS / 1000 };
  }

  /** The id of the key that a token was given for; undefined where it is forged or expired. */
  verify(token: string): string | undefined {
    const [payload = "", signature = ""] = token.split(".");
    const wanted = Buffer.from(this.#sign(payload));
    const given = Buffer.from(signature);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
    const claim = ClaimSchema.parse(JSON.parse(Buffer.from(payload, "base64url").toString("utf8")));
    return claim.expiresAt > Date.now() ? claim.keyId : undefined;
  }

  #sign = (payload: string) =>
    createHmac("sha256", this.#secret).update(payload).digest("base64url");
}
