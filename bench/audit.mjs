// The audit log at a million events over 500 spaces: queries beside reading the whole file, which is what a log without an
// index does; how fast the chain is verified; whether a changed line is found. Needs no engine.
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { pino } from "pino";
import { encodeLine, GENESIS, lineHash } from "../packages/api/dist/audit/audit-line.js";
import { AuditLog, verifyAuditLog } from "../packages/api/dist/audit/audit-log.js";
import { AuditPaths } from "../packages/api/dist/audit/files.js";
import { summary, timed } from "./measure.mjs";

const EVENTS = 1_000_000;
const SPACES = 500;
const ROUNDS = 20;
const options = (path) => ({
  path,
  rotateBytes: 16 * 1024 ** 2,
  retention: {},
  log: pino({ level: "silent" }),
});
const peakMiB = () =>
  Math.round(Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1024);
const resultOf = (path, step) =>
  JSON.parse(execFileSync(process.execPath, [import.meta.filename, step, path]).toString());

/** What an hour of an agent looks like: commands, now and then a file, seldom a pause. */
function event(n) {
  const space = `space-${(n * 7919) % SPACES}`;
  const type = n % 10 === 0 ? "space.file.write" : n % 97 === 0 ? "space.pause" : "space.exec";
  const meta = {
    ...(type === "space.exec"
      ? { command: `cd repo && npm test -- --filter case-${n}`, exitCode: 0 }
      : {}),
    ...(type === "space.file.write"
      ? { path: `/repo/src/file-${n % 1000}.ts`, size: 1000 + n }
      : {}),
    outcome: "ok",
    durationMs: 12.3,
    request: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
  };
  return { type, space, actor: n % 3 ? "key:owner" : "key:ci", meta };
}

/** Lines as the daemon writes them, without waiting for the disk at each: in one file, and in segments as it keeps them. */
function write(whole, paths) {
  let hash = GENESIS;
  let lines = [];
  let segment = paths.segment(1);
  for (let id = 1; id <= EVENTS; id++) {
    const line = encodeLine(id, new Date(1_760_000_000_000 + id * 80), event(id), hash);
    hash = lineHash(line);
    lines.push(line, NEWLINE);
    if (id % 10_000 > 0) continue;
    const data = Buffer.concat(lines);
    lines = [];
    appendFileSync(whole, data);
    appendFileSync(segment, data);
    if (statSync(segment).size >= options().rotateBytes) segment = paths.segment(id + 1);
  }
}
const NEWLINE = Buffer.from("\n");

/** Before: the whole file is read, every line parsed, the last ones of the space taken. */
async function before(path) {
  const samples = [];
  let found;
  for (let round = 0; round < 5; round++) {
    samples.push(
      await timed(async () => {
        const events = readFileSync(path, "utf8")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line));
        found = events.filter(({ space }) => space === "space-77").slice(-200);
      }),
    );
  }
  return { ...summary(samples), found: found.length, peakMiB: peakMiB() };
}

/** The first start compresses and indexes what is full. */
async function compressing(path) {
  const ms = await timed(async () => await (await AuditLog.open(options(path))).close());
  return { ms, peakMiB: peakMiB() };
}

async function query(path) {
  const log = await AuditLog.open(options(path));
  const measure = async (filter) => {
    const samples = [];
    let found;
    for (let round = 0; round < ROUNDS; round++) {
      samples.push(
        await timed(async () => {
          found = await log.newest(filter, 200);
        }),
      );
    }
    return { ...summary(samples), found: found.length };
  };
  const results = {
    opened: peakMiB(),
    newest: await measure({}),
    space: await measure({ space: "space-77" }),
    spaceAndType: await measure({ space: "space-77", type: "space.file.write" }),
    oldOfSpace: await measure({ space: "space-77", before: 200_000 }),
    nobody: await measure({ space: "space-of-nobody" }),
  };
  const open = peakMiB();
  await log.close();
  return { ...results, peakMiB: open };
}

async function verified(path) {
  let verdict;
  const ms = await timed(async () => {
    verdict = await verifyAuditLog(path);
  });
  return { ms, ok: verdict.ok, events: verdict.events, faults: verdict.faults, peakMiB: peakMiB() };
}

const steps = { before, compressing, query, verified };
const [, , step, at] = process.argv;
if (step) {
  process.stdout.write(JSON.stringify(await steps[step](at)));
} else {
  const folder = mkdtempSync(join(tmpdir(), "clawdspace-bench-audit-"));
  try {
    const whole = join(folder, "whole.jsonl");
    const path = join(folder, "audit.jsonl");
    write(whole, new AuditPaths(path));
    const results = { events: EVENTS, spaces: SPACES };
    results.before = resultOf(whole, "before");
    results.wholeMiB = Math.round(statSync(whole).size / 1024 ** 2);
    results.compressing = resultOf(path, "compressing");
    results.after = resultOf(path, "query");
    results.verify = resultOf(path, "verified");
    const changed = readdirSync(folder)
      .filter((name) => /^audit-.*\.gz$/.test(name))
      .sort()[5];
    const lines = gunzipSync(readFileSync(join(folder, changed))).toString();
    const id = Number(/^\{"id":(\d+)/.exec(lines)[1]) + 4321;
    const forged = lines.replace(`--filter case-${id}"`, `--filter case-${id + 1}"`);
    if (forged === lines) throw new Error("no line was changed");
    writeFileSync(join(folder, changed), gzipSync(forged));
    results.changed = { id, ...resultOf(path, "verified") };
    console.log(JSON.stringify(results, null, 2));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
