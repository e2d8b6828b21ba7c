import { createHmac, hkdfSync, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

/** What both sides of a handshake know when it is over. */
export interface Handshake {
  initiator: { node: string; nonce: string };
  responder: { node: string; nonce: string; instance: string; at: string };
}

const LABEL = "clawdspace-peer-1";
const KEY_BYTES = 32;
/** One guess at a key costs about as much as one start of a daemon: 32 MiB and some tens of milliseconds. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 ** 2 };

const derive = promisify<string, string, number, typeof SCRYPT, Buffer>(scrypt);

/** The secret that nodes prove to each other, from the key that they share; the key can't be had back from it or its proofs. */
export async function peerSecret(key: string): Promise<Buffer> {
  return await derive(key, LABEL, KEY_BYTES, SCRYPT);
}

export const newNonce = () => randomBytes(32).toString("base64url");

/**
 * Shows that one side of a handshake knows the secret. It covers both nonces and names and the side that speaks, so that it
 * can't be used again, in another handshake, or as the other side's answer.
 */
export function prove(secret: Buffer, side: "initiator" | "responder", shake: Handshake): string {
  return createHmac("sha256", secret).update(transcript(side, shake)).digest("base64url");
}

/** Whether a proof is the one that `prove` makes. */
export function isProof(
  secret: Buffer,
  side: "initiator" | "responder",
  shake: Handshake,
  given: string,
): boolean {
  const wanted = Buffer.from(prove(secret, side, shake));
  const bytes = Buffer.from(given);
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
}

/** The key for the tokens of one session, which both sides can make and nobody else. */
export function sessionKey(secret: Buffer, shake: Handshake): Uint8Array {
  const info = transcript("session", shake);
  return new Uint8Array(hkdfSync("sha256", secret, LABEL, info, KEY_BYTES));
}

const transcript = (what: string, { initiator, responder }: Handshake) =>
  JSON.stringify([
    LABEL,
    what,
    ...[initiator.node, initiator.nonce],
    ...[responder.node, responder.nonce, responder.instance, responder.at],
  ]);
