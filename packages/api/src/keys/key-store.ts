import { createHash, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import {
  type Actor,
  ClawdspaceError,
  type CreateKeyRequest,
  type Key,
  KeySchema,
} from "@clawdspace/protocol";
import { z } from "zod";

const KEY_PREFIX = "clawdspace_sk_live_";
const MAX_KEYS = 1000;
/** How far "last used" may lag behind on disk. */
const SAVE_DELAY_MS = 30_000;

const KeptKeySchema = KeySchema.extend({ sha256: z.string().regex(/^[0-9a-f]{64}$/) });
type KeptKey = z.infer<typeof KeptKeySchema>;

const digest = (secret: string) => createHash("sha256").update(secret).digest();

/**
 * The keys that open this daemon: the owner's, and those made for others, of which only hashes are kept. A key is 128
 * random bits, so that a plain hash can't be searched.
 */
export class KeyStore {
  readonly #owner: Buffer;
  #keys: KeptKey[] = [];
  #saving: Promise<void> = Promise.resolve();
  #saveTimer: NodeJS.Timeout | undefined;
  readonly #revoked: ((keyId: string) => void)[] = [];

  /** @param file made when the first key is; mode 0600. */
  constructor(
    private readonly file: string,
    ownerKey: string,
  ) {
    this.#owner = digest(ownerKey);
  }

  /** Calls `listener` once a key opens nothing any more. */
  onRevoked(listener: (keyId: string) => void): void {
    this.#revoked.push(listener);
  }

  /** Reads the file. Throws where it holds anything but keys: starting without them would lock people out silently. */
  async load(): Promise<void> {
    const text = await readFile(this.file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "[]";
      throw error;
    });
    this.#keys = z.array(KeptKeySchema).parse(JSON.parse(text));
  }

  /** Whose secret it is; undefined where it is nobody's. Takes the same time for every secret. */
  verify(secret: string): { actor: Actor; keyId: string } | undefined {
    const given = digest(secret);
    const isOwner = timingSafeEqual(given, this.#owner);
    let found: KeptKey | undefined;
    for (const key of this.#keys) {
      if (timingSafeEqual(given, Buffer.from(key.sha256, "hex"))) found = key;
    }
    if (isOwner) return { actor: OWNER, keyId: OWNER_ID };
    if (!found) return undefined;
    this.#touch(found);
    return { actor: toActor(found), keyId: found.id };
  }

  /** Who a key that was verified before is; undefined where it was revoked meanwhile. */
  actorOf(keyId: string): Actor | undefined {
    if (keyId === OWNER_ID) return OWNER;
    const key = this.#keys.find(({ id }) => id === keyId);
    return key && toActor(key);
  }

  list(): Key[] {
    return this.#keys.map(({ sha256: _sha256, ...key }) => key);
  }

  /** The secret is returned here and never again. Throws `exists` where the name is taken. */
  async create(request: CreateKeyRequest): Promise<{ key: Key; secret: string }> {
    if (request.name === OWNER.name || this.#keys.some(({ name }) => name === request.name)) {
      throw new ClawdspaceError(
        "exists",
        `There is a key "${request.name}" already. Choose another name.`,
      );
    }
    if (this.#keys.length >= MAX_KEYS) {
      throw new ClawdspaceError(
        "unprocessable",
        `There are ${MAX_KEYS} keys already. Revoke some first.`,
      );
    }
    const secret = `${KEY_PREFIX}${randomBytes(16).toString("hex")}`;
    const key: Key = {
      id: randomUUID(),
      name: request.name,
      role: request.role,
      ...(request.spaces ? { spaces: request.spaces } : {}),
      createdAt: new Date().toISOString(),
    };
    this.#keys = [...this.#keys, { ...key, sha256: digest(secret).toString("hex") }];
    await this.#save();
    return { key, secret };
  }

  /** @param idOrName of a key. Throws `not_found`. */
  async revoke(idOrName: string): Promise<void> {
    const kept = this.#keys.filter(({ id, name }) => id !== idOrName && name !== idOrName);
    if (kept.length === this.#keys.length) {
      throw new ClawdspaceError(
        "not_found",
        `There is no key "${idOrName}". GET /api/keys lists them.`,
      );
    }
    const gone = this.#keys.filter((key) => !kept.includes(key));
    this.#keys = kept;
    for (const { id } of gone) for (const listener of this.#revoked) listener(id);
    await this.#save();
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    if (this.#saveTimer) await this.#save();
    await this.#saving;
  }

  #touch(key: KeptKey): void {
    key.lastUsedAt = new Date().toISOString();
    this.#saveTimer ??= setTimeout(() => void this.#save().catch(() => {}), SAVE_DELAY_MS).unref();
  }

  async #save(): Promise<void> {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    const write = async () => {
      await mkdir(dirname(this.file), { recursive: true, mode: 0o700 });
      await writeFile(`${this.file}.new`, JSON.stringify(this.#keys, null, 2), { mode: 0o600 });
      await rename(`${this.file}.new`, this.file);
    };
    this.#saving = this.#saving.catch(() => {}).then(write);
    await this.#saving;
  }
}

const OWNER_ID = "owner";
const OWNER: Actor = { name: "owner", role: "admin" };

const toActor = (key: Key): Actor => ({
  name: key.name,
  role: key.role,
  ...(key.spaces ? { spaces: key.spaces } : {}),
});
