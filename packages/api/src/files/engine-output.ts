import { createHash } from "node:crypto";
import { GuestError, type GuestErrorCode, type GuestStat } from "../guest/types.js";
import { EXIT } from "./engine-script.js";

// The kind's bits of a mode.
const S_IFMT = 0o170000;
const TYPES = new Map<number, GuestStat["type"]>([
  [0o100000, "file"],
  [0o040000, "dir"],
  [0o120000, "symlink"],
]);
const FOUND_TYPES: Record<string, GuestStat["type"]> = { f: "file", d: "dir", l: "symlink" };
const FACTS =
  /^(?:([0-9a-f]+)|=([a-zA-Z])([0-7]+)) (\d+) (\d+) (\d+) (\d+) (\d+) (\S+) ([\d:]+)(\.\d+)? \+0000 \S+ [\d:.]+ \+0000$/;

/** Reads one line of stat(1), or of find(1) in its place, as the script asks for it. Throws `GuestError` "protocol" where it is none. */
export function parseFacts(line: string): GuestStat {
  const match = FACTS.exec(line);
  if (!match) throw new GuestError("protocol", "the space's own stat(1) says something else");
  const [, bits = "", kind, octal = "", size, uid, gid, nlink, ino = "", day, time, fraction = ""] =
    match;
  const mode = kind ? Number.parseInt(octal, 8) : Number.parseInt(bits, 16);
  const type = kind ? FOUND_TYPES[kind] : TYPES.get(mode & S_IFMT);
  return {
    type: type ?? "other",
    size: Number(size),
    mtimeMs: Date.parse(`${day}T${time}Z`) + Math.floor(Number(`0${fraction}`) * 1000),
    mode: mode & 0o7777,
    uid: Number(uid),
    gid: Number(gid),
    nlink: Number(nlink),
    ino: BigInt(ino),
    etag: etagOf(line),
  };
}

/** Tells one state of a file from another; from what the script compares before it replaces a file. */
export const etagOf = (facts: string) =>
  createHash("sha256").update(facts).digest("hex").slice(0, 32);

/**
 * Reads a folder's listing, of one level or of all. First come the symlinks, as "./", name, NUL, target, NUL; a NUL
 * ends them. Then each entry is "/", facts, "/./", path and newline. A newline in a name is told from the end of an
 * entry by what follows: no path has a folder "." in its middle.
 */
export function parseListing(output: Buffer): (GuestStat & { name: Buffer; target?: Buffer })[] {
  const text = output.toString("latin1");
  const targets = new Map<string, string>();
  let at = 0;
  while (text[at] !== "\0") {
    const name = text.indexOf("\0", at);
    const target = text.indexOf("\0", name + 1);
    if (name < 0 || target < 0) throw new GuestError("protocol", "the listing breaks off");
    targets.set(text.slice(at + "./".length, name), text.slice(name + 1, target));
    at = target + 1;
  }
  const records = text.slice(at + 2, -1);
  if (records === "") return [];
  return records.split(/\n\/(?=[^/]*\/\.\/)/).map((record) => {
    const divider = record.indexOf("/./");
    const name = record.slice(divider + "/./".length);
    const target = targets.get(name);
    return {
      ...parseFacts(record.slice(0, divider)),
      name: Buffer.from(name, "latin1"),
      ...(target === undefined ? {} : { target: Buffer.from(target, "latin1") }),
    };
  });
}

/** Bytes as printf's %b turns them back. */
export function escapeBytes(bytes: Buffer): string {
  return bytes
    .toString("latin1")
    .replace(
      /[^A-Za-z0-9._/-]/g,
      (char) => `\\0${char.charCodeAt(0).toString(8).padStart(3, "0")}`,
    );
}

/** A path's folder and name as the script's arguments; the workspace itself is "." in ".". */
export function pathArguments(path: Buffer): [folder: string, name: string] {
  const slash = path.lastIndexOf("/");
  return slash < 0
    ? [".", escapeBytes(path)]
    : [escapeBytes(path.subarray(0, slash)), escapeBytes(path.subarray(slash + 1))];
}

const CODES: Record<number, [GuestErrorCode, string]> = {
  [EXIT.notFound]: ["not_found", "there is no such file or folder"],
  [EXIT.outside]: ["outside", "a symlink leads out of the workspace"],
  [EXIT.exists]: ["exists", "there is something of that name"],
  [EXIT.notDirectory]: ["not_directory", "is not a folder"],
  [EXIT.isDirectory]: ["is_directory", "is a folder"],
  [EXIT.notEmpty]: ["not_empty", "the folder is not empty"],
  [EXIT.notAFile]: ["invalid", "is neither a file nor a folder"],
  [EXIT.notALink]: ["invalid", "is no symlink"],
  [EXIT.incomplete]: ["aborted", "the content broke off"],
  [EXIT.precondition]: ["precondition", "the file is another one by now"],
};

/** What the C locale's strerror says. */
const MESSAGES: [RegExp, GuestErrorCode][] = [
  [/No space left|Disk quota exceeded/, "no_space"],
  [/Permission denied|not permitted|Read-only file system/, "permission"],
  [/File exists/, "exists"],
  [/Directory not empty|non-empty/, "not_empty"],
  [/Is a directory|is a directory|overwrite directory/, "is_directory"],
  [/Not a directory|overwrite non-directory/, "not_directory"],
  [
    /name too long|Invalid argument|symbolic links|to a subdirectory of itself|into itself/,
    "invalid",
  ],
  [/No such file/, "not_found"],
];

/** What a failed run of the script means. */
export function toGuestError(exitCode: number, stderr: string): GuestError {
  const known = CODES[exitCode];
  if (known) return new GuestError(...known);
  if (exitCode === 126 || exitCode === 127) {
    return new GuestError("unsupported", "the space's image has no shell to do it with");
  }
  const code = MESSAGES.find(([pattern]) => pattern.test(stderr))?.[1] ?? "io";
  return new GuestError(code, stderr.trim().slice(0, 200) || `the script ended with ${exitCode}`);
}
