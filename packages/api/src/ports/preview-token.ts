import { createHmac, timingSafeEqual } from "node:crypto";
import { loadSecret } from "../keys/secret-file.js";

/** "path" and "host" are links, by where they lead; "visit" is what a host link is traded for. */
export type TokenUse = "path" | "host" | "visit";

export interface TokenClaims {
  /** The container that is meant: a space that is made anew under the name is another one. */
  containerId: string;
  port: number;
  /** Seconds since 1970. */
  expires: number;
  keepPrefix: boolean;
}

const FORM = /^([0-9a-z]{1,8})-([1-9]\d{0,4})-([ks])-([A-Za-z0-9_-]{43})$/;

/** Signed, expiring permits to use one port of one space. The secret is kept in a file (mode 0600), made at the first use. */
export class PreviewTokens {
  #secret: Promise<Buffer> | undefined;

  constructor(private readonly file: string) {}

  /** A token of URL-safe characters. */
  async sign(use: TokenUse, claims: TokenClaims): Promise<string> {
    const open = `${claims.expires.toString(36)}-${claims.port}-${claims.keepPrefix ? "k" : "s"}`;
    return `${open}-${await this.#mac(use, claims.containerId, open)}`;
  }

  /** What a token permits for that container; undefined where it is forged, expired or for another use. */
  async verify(
    use: TokenUse,
    token: string,
    containerId: string,
  ): Promise<TokenClaims | undefined> {
    const [, expires = "", port = "", prefix = "", mac = ""] = FORM.exec(token) ?? [];
    const wanted = await this.#mac(use, containerId, `${expires}-${port}-${prefix}`);
    if (mac.length !== wanted.length || !timingSafeEqual(Buffer.from(mac), Buffer.from(wanted))) {
      return undefined;
    }
    const claims = {
      containerId,
      port: Number(port),
      expires: Number.parseInt(expires, 36),
      keepPrefix: prefix === "k",
    };
    return claims.expires * 1000 > Date.now() ? claims : undefined;
  }

  async #mac(use: TokenUse, containerId: string, open: string): Promise<string> {
    this.#secret ??= loadSecret(this.file).catch((error: unknown) => {
      this.#secret = undefined;
      throw error;
    });
    const text = ["clawdspace-preview", use, containerId, open].join("\n");
    return createHmac("sha256", await this.#secret)
      .update(text)
      .digest("base64url");
  }
}
