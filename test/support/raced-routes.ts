import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import { at } from "./files.js";

export type RacedRequest = [rest: string, body?: unknown, headers?: Record<string, string>];

/** What a route of a space does with paths: the names of its parameters that are such, and requests that use each. */
export interface Raced {
  paths: string[];
  /** One request a path, sent while the path is swapped. `n` makes names that are new. */
  requests: (n: number) => RacedRequest[];
  /**
   * The same with what is swapped below the path. The guest agent alone withstands it: programs that stand in for it, and
   * those that search, go by names below the folder that they were started in.
   */
  below?: Raced["requests"];
  /**
   * What is named here is for a program of the space, which opens it by itself with no more than the rights of the space's
   * user: it must lead inside when the program starts, or may be any folder of the space. The answer must be a clean one.
   */
  byProgram?: true;
}

const FOLDERS = ["/race/spot", "/race/spot/sub", "/race/spot/tmp/outside"];
const FILES = ["/race/spot/f", "/race/spot/passwd", "/race/spot/tmp/outside/f", "/race/leaf"];
const BYTES = { "content-type": "application/octet-stream" };
const each = (paths: string[], rest: (path: string) => string): Raced["requests"] => {
  return () => paths.map((path) => [rest(path)]);
};
const places = ["path", "pathBase64"];
const fromTo = ["from", "fromBase64", "to", "toBase64"];
const fresh = (n: number) => [`/race/spot/n${n}`, `/race/spot/tmp/outside/n${n}`, "/race/leaf"];
const REPO = "/race/git/repo";

async function smallTar(): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: "f", mode: 0o600 }, "INSIDE\n");
  archive.entry({ name: "sub/new", mode: 0o600 }, "INSIDE\n");
  archive.entry({ name: "out", type: "symlink", linkname: "/tmp/outside" });
  archive.entry({ name: "sub", type: "directory", mode: 0o711 });
  archive.finalize();
  return await buffer(archive);
}
const tar = await smallTar();

function form(): FormData {
  const data = new FormData();
  for (const name of ["f", "sub/f", "sub/new", "made/here"]) {
    data.append("files", new Blob(["INSIDE\n"]), name);
  }
  return data;
}

/** What is raced of each route of a space that takes a path. */
export const RACED: Record<string, Raced> = {
  "GET /files": {
    paths: places,
    requests: each(FOLDERS, (path) => `/files?${at(path)}`),
    below: each(["/race"], (path) => `/files?${at(path)}`),
  },
  "DELETE /files": {
    paths: places,
    requests: each(
      ["/race/spot/sub", "/race/spot/f", "/race/leaf", "/race/spot/tmp/outside/sub"],
      (path) => `/files?${at(path)}&recursive=true`,
    ),
  },
  "GET /file": { paths: places, requests: each(FILES, (path) => `/file?${at(path)}`) },
  "PUT /file": {
    paths: places,
    requests: (n) =>
      [...FILES, ...fresh(n)].map((path) => [
        `/file?${at(path)}`,
        { contentBase64: Buffer.from("INSIDE\n").toString("base64") },
      ]),
  },
  "GET /files/raw": { paths: places, requests: each(FILES, (path) => `/files/raw?${at(path)}`) },
  "PUT /files/raw": {
    paths: places,
    requests: (n) =>
      [...FILES, ...fresh(n)].flatMap((path) => [
        [`/files/raw?${at(path)}&mode=600`, Buffer.from("INSIDE\n"), BYTES],
        [`/files/raw?${at(path)}&append=true`, Buffer.from("INSIDE\n"), BYTES],
      ]),
  },
  "GET /files/archive": {
    paths: places,
    requests: each(FOLDERS, (path) => `/files/archive?${at(path)}`),
    below: each(["/race"], (path) => `/files/archive?${at(path)}`),
  },
  "PUT /files/archive": {
    paths: places,
    requests: () =>
      FOLDERS.map((path) => [
        `/files/archive?${at(path)}`,
        tar,
        { "content-type": "application/x-tar" },
      ]),
  },
  "POST /files/upload": {
    paths: places,
    requests: () => FOLDERS.map((path) => [`/files/upload?${at(path)}`, form()]),
  },
  "GET /files/stat": { paths: places, requests: each(FILES, (path) => `/files/stat?${at(path)}`) },
  "POST /files/mkdir": {
    paths: places,
    requests: (n) => fresh(n).map((path) => ["/files/mkdir", { path: `${path}/made/deep` }]),
  },
  "POST /files/move": {
    paths: fromTo,
    requests: (n) => [
      ["/files/move", { from: "/race/spot/f", to: `/moved/${n}` }],
      ["/files/move", { from: "/race/leaf", to: `/moved/leaf-${n}` }],
      ["/files/move", { from: "/race/spot/sub", to: `/moved/sub-${n}` }],
      ["/files/move", { from: "/plain/f", to: "/race/spot/f", overwrite: true }],
      ["/files/move", { from: "/plain/g", to: "/race/leaf", overwrite: true }],
      ["/files/move", { from: "/plain/d", to: "/race/spot/sub/d" }],
    ],
  },
  "POST /files/copy": {
    paths: fromTo,
    requests: (n) => [
      ["/files/copy", { from: "/race/spot/f", to: `/moved/copy-${n}` }],
      ["/files/copy", { from: "/race/spot", to: `/moved/tree-${n}`, recursive: true }],
      ["/files/copy", { from: "/kept/f", to: "/race/spot/f", overwrite: true }],
      ["/files/copy", { from: "/kept/f", to: "/race/leaf", overwrite: true }],
      ["/files/copy", { from: "/kept", to: "/race/spot/sub", recursive: true, overwrite: true }],
    ],
    below: (n) => [["/files/copy", { from: "/race", to: `/moved/all-${n}`, recursive: true }]],
  },
  "POST /files/chmod": {
    paths: places,
    requests: () => [...FILES, ...FOLDERS].map((path) => ["/files/chmod", { path, mode: "755" }]),
  },
  "GET /files/find": {
    paths: places,
    requests: each(FOLDERS, (path) => `/files/find?${at(path)}&glob=**`),
    below: each(["/race"], (path) => `/files/find?${at(path)}&glob=**`),
  },
  "GET /files/grep": {
    paths: places,
    requests: each([...FOLDERS, ...FILES], (path) => `/files/grep?${at(path)}&pattern=SIDE`),
  },
  "GET /files/watch": {
    paths: places,
    requests: each(FOLDERS, (path) => `/files/watch?${at(path)}&recursive=true`),
    below: each(["/race"], (path) => `/files/watch?${at(path)}&recursive=true`),
  },
  "GET /git/status": {
    byProgram: true,
    paths: ["repoPath"],
    requests: each([REPO], (path) => `/git/status?repoPath=${path}`),
  },
  "POST /git/clone": {
    byProgram: true,
    paths: ["dest"],
    requests: (n) =>
      [`race/git/clone-${n}`, `race/git/made/clone-${n}`].map((dest) => [
        "/git/clone",
        { url: "https://example.com/bare.git", dest },
      ]),
  },
  "POST /git/pull": {
    byProgram: true,
    paths: ["repoPath"],
    requests: () => [["/git/pull", { repoPath: REPO }]],
  },
  "POST /git/push": {
    byProgram: true,
    paths: ["repoPath"],
    requests: () => [["/git/push", { repoPath: REPO, token: "unused-token" }]],
  },
  "POST /git/commit": {
    byProgram: true,
    paths: ["repoPath", "paths"],
    requests: (n) => [
      ["/git/commit", { repoPath: REPO, message: `INSIDE ${n}` }],
      ["/git/commit", { repoPath: REPO, message: `INSIDE ${n}`, paths: ["file"] }],
    ],
  },
  "POST /git/checkout": {
    byProgram: true,
    paths: ["repoPath"],
    requests: (n) => [["/git/checkout", { repoPath: REPO, ref: `b${n}`, create: true }]],
  },
  "POST /exec": {
    paths: ["cwd"],
    byProgram: true,
    requests: () => [["/exec", { command: "pwd", cwd: "race/spot" }]],
  },
  "POST /processes": {
    paths: ["cwd"],
    byProgram: true,
    requests: () => [["/processes", { command: "pwd", cwd: "race/spot" }]],
  },
};
