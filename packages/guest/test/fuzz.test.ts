import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import * as files from "../../api/src/guest/file-codec.js";
import { PayloadWriter } from "../../api/src/guest/payload.js";
import * as processes from "../../api/src/guest/process-codec.js";
import { make } from "./support.js";

const RUNS = Number(process.env.GUEST_FUZZ_RUNS ?? 4_000);

const REQUEST = 0;
const DATA = 3;
const END = 4;
const CREDIT = 5;
const CANCEL = 6;
const SWITCH = 7;
const TURN = 0xf0;
const RAW = 0xf8;

/** One step of an input, in the format of fuzz.c. */
function step(kind: number, stream = 0, payload: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from([kind, 0, stream, payload.length]), payload]);
}

const ID = "00112233445566778899aabbccddeeff";
const SPEC = { argv: ["a", "b"], env: { PATH: "/x" }, cwd: "/", onFull: "block" as const };
const credit = (bytes: number) => new PayloadWriter().u64(bytes).finish();
const request = (operation: number, build: (writer: PayloadWriter) => PayloadWriter) =>
  build(new PayloadWriter().u8(operation)).finish();

/** What a daemon does, to start from: each operation at least once. */
const SEEDS: Buffer[][] = [
  [
    step(REQUEST, 1, processes.encodeStart(ID, SPEC)),
    step(
      REQUEST,
      2,
      request(13, (writer) => writer),
    ),
    step(REQUEST, 3, processes.encodeOutput(ID, 0, 4096)),
    step(SWITCH),
    step(
      REQUEST,
      4,
      request(1, (writer) => writer),
    ),
    step(RAW, 0, Buffer.from([2, 0, 5])),
    step(TURN),
    step(REQUEST, 5, processes.encodeForget(ID)),
    step(TURN),
  ],
  [
    step(REQUEST, 1, processes.encodeStart(ID, { ...SPEC, stdin: true, meta: Buffer.from("m") })),
    step(REQUEST, 2, processes.encodeOutput(ID, 0, 4096)),
    step(REQUEST, 3, processes.encodeStdin(ID, 0)),
    step(DATA, 3, Buffer.from("input")),
    step(TURN),
    step(CREDIT, 2, credit(100)),
    step(END, 3),
    step(TURN),
    step(REQUEST, 4, processes.encodeList(0)),
    step(REQUEST, 5, processes.encodeSignal(ID, "SIGKILL", "all")),
    step(REQUEST, 6, processes.encodeForget(ID)),
    step(TURN),
  ],
  [
    step(REQUEST, 1, processes.encodeStart(ID, { ...SPEC, pty: { cols: 80, rows: 24 } })),
    step(REQUEST, 2, processes.encodeResize(ID, 1, 2)),
    step(REQUEST, 3, processes.encodeStdin(ID, undefined)),
    step(DATA, 3, Buffer.from("input")),
    step(END, 3),
    step(TURN),
    step(REQUEST, 4, processes.encodeSignal(ID, "SIGTERM", "group")),
  ],
  [
    step(REQUEST, 1, files.encodeWrite("/d/f", { mode: 0o600 })),
    step(DATA, 1, Buffer.from("content")),
    step(END, 1),
    step(REQUEST, 2, files.encodeRead("/d/f", { offset: 1 }, 100)),
    step(TURN),
    step(CREDIT, 2, credit(3)),
    step(REQUEST, 3, files.encodeWrite("/d/f", { append: true, ifMatch: "1.2.3.4" })),
    step(CANCEL, 3),
    step(REQUEST, 4, files.encodeListDir("/d", undefined, 10)),
    step(REQUEST, 5, files.encodeStat("/d/f", true)),
  ],
  [
    step(REQUEST, 1, files.encodeMkdir("/a/b", 0o755, true)),
    step(REQUEST, 2, files.encodeSymlink("/a/l", "../b")),
    step(REQUEST, 3, files.encodeReadlink("/a/l")),
    step(REQUEST, 4, files.encodeCopy("/a", "/c", true, true)),
    step(TURN),
    step(REQUEST, 5, files.encodeRename("/c", "/e", false)),
    step(REQUEST, 6, files.encodeChmod("/e", 0o700)),
    step(REQUEST, 7, files.encodeRemove("/e", true)),
    step(TURN),
    step(REQUEST, 1, files.encodeStatvfs("/")),
  ],
  [
    step(
      REQUEST,
      1,
      request(28, (writer) => writer.u8(1).u32(1000).bytes("/")),
    ),
    step(REQUEST, 2, files.encodeMkdir("/w/x", 0o755, true)),
    step(TURN),
    step(REQUEST, 3, files.encodeRemove("/w", true)),
    step(TURN),
    step(
      REQUEST,
      4,
      request(12, (writer) => writer.u16(80).u32(1000)),
    ),
    step(
      REQUEST,
      5,
      request(9, (writer) => writer),
    ),
    step(
      REQUEST,
      6,
      request(10, (writer) => writer),
    ),
    step(RAW, 0, Buffer.from([2, 0, 255, 0, 1])),
  ],
];

test("no input breaks the agent's parser and operations", () => {
  try {
    execFileSync("clang", ["--version"], { stdio: "ignore" });
  } catch {
    throw new Error(
      "clang is missing: install clang and its sanitizers (Debian: clang libclang-rt-14-dev)",
    );
  }
  make("fuzz");
  const folder = mkdtempSync(join(tmpdir(), "guest-fuzz-"));
  try {
    const corpus = join(folder, "corpus");
    mkdirSync(corpus);
    SEEDS.forEach((seed, i) => {
      writeFileSync(join(corpus, `seed-${i}`), Buffer.concat(seed));
    });
    const binary = fileURLToPath(new URL("../build/fuzz", import.meta.url));
    const result = spawnSync(
      binary,
      [
        `-runs=${RUNS}`,
        "-max_len=4096",
        "-seed=1",
        "-timeout=20",
        `-artifact_prefix=${folder}/`,
        corpus,
      ],
      { encoding: "utf8", env: { ...process.env, GUEST_FUZZ_FOLDER: folder } },
    );
    expect(result.stderr).toContain(`Done ${RUNS} runs`);
    expect(result.status).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
