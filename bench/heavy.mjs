// What a command costs all processes of the machine in CPU time, and a file of a gigabyte in time and in the daemon's memory,
// beside the raw Docker API in the same run. Needs a machine on which nothing else runs.
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { pack } from "tar-stream";
import { docker, startDaemon } from "./daemon.mjs";
import { HEAD, measurer, timed } from "./measure.mjs";
import * as raw from "./raw.mjs";
import { writeResults } from "./results.mjs";

const COMMANDS = 50;
const GIBIBYTE = 1024 ** 3;
const TICK_MS = 10;

const daemon = await startDaemon();
const { api, namespace, url, key, pid } = daemon;
const results = [];
const measure = measurer(results);

/** The CPU time in ms that the whole machine spends on a task, but for this process. */
async function cpuOf(task) {
  const before = { all: machineMs(), own: process.cpuUsage() };
  await task();
  const own = process.cpuUsage(before.own);
  return machineMs() - before.all - (own.user + own.system) / 1000;
}

function machineMs() {
  const [, user, nice, system, , , irq, softirq] = readFileSync("/proc/stat", "utf8")
    .split("\n", 1)[0]
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq) * TICK_MS;
}

const memoryOf = (field) =>
  Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`))[1]) /
  1024;

/** How far the daemon's memory rises above where it was, in MiB. */
async function growthOf(task) {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
  const before = memoryOf("VmRSS");
  await task();
  return memoryOf("VmHWM") - before;
}

function* gibibyte() {
  const piece = Buffer.alloc(256 * 1024, 7);
  for (let sent = 0; sent < GIBIBYTE; sent += piece.length) yield piece;
}

async function drain(stream) {
  let bytes = 0;
  for await (const piece of stream) bytes += piece.length;
  if (bytes < GIBIBYTE) throw new Error(`only ${bytes} bytes came`);
}

const file = "/api/spaces/bench/files/raw?path=/big";
const headers = { authorization: `Bearer ${key}`, "content-type": "application/octet-stream" };

/** Of a new file, as the engine's way takes an old one away first; ours keeps that until the new one is complete. */
async function upload() {
  const sent = request(url + file, { method: "PUT", headers });
  const answered = once(sent, "response");
  await pipeline(Readable.from(gibibyte(), { objectMode: false }), sent);
  const [answer] = await answered;
  if (answer.statusCode !== 200) throw new Error(`upload: ${answer.statusCode}`);
  await finished(answer.resume());
}

async function download() {
  const sent = request(url + file, { headers });
  sent.end();
  const [answer] = await once(sent, "response");
  await drain(answer);
}

async function rawUpload(container) {
  const archive = pack();
  const entry = archive.entry({ name: "big", size: GIBIBYTE, uid: 1001, gid: 1001 });
  const put = container.putArchive(archive, { path: "/workspace" });
  await pipeline(Readable.from(gibibyte(), { objectMode: false }), entry);
  archive.finalize();
  await put;
}

console.log(HEAD);
try {
  await daemon.warmUp();
  await api("POST", "/spaces", { name: "bench", memory: "1g" });
  const model = await docker.getContainer(`${namespace}-bench`).inspect();
  const [{ Name: network }] = await docker.listNetworks({
    filters: { label: [`clawdspace.namespace=${namespace}`] },
  });
  const container = await raw.createContainer(namespace, network, model);
  const command = { command: ["true"] };
  await measure({
    name: "CPU of a command",
    rounds: 8,
    ours: async () =>
      (await cpuOf(async () => {
        for (let i = 0; i < COMMANDS; i++) await api("POST", "/spaces/bench/exec", command);
      })) / COMMANDS,
    raw: async () =>
      (await cpuOf(async () => {
        for (let i = 0; i < COMMANDS; i++) await raw.exec(container, ["true"]);
      })) / COMMANDS,
  });
  await upload();
  await rawUpload(container);
  const growth = { upload: [], download: [] };
  await measure({
    name: "upload of 1 GiB",
    rounds: 6,
    ours: async () => {
      await api("DELETE", "/spaces/bench/files?path=/big");
      return await timed(async () => {
        growth.upload.push(await growthOf(upload));
      });
    },
    raw: () => timed(() => rawUpload(container)),
  });
  await measure({
    name: "download of 1 GiB",
    rounds: 3,
    ours: () =>
      timed(async () => {
        growth.download.push(await growthOf(download));
      }),
    raw: () => timed(async () => drain(await container.getArchive({ path: "/workspace/big" }))),
  });
  console.log("the daemon grew by at most, MiB:", {
    upload: Math.round(Math.max(...growth.upload)),
    download: Math.round(Math.max(...growth.download)),
  });
  results.push({ name: "the daemon's growth at 1 GiB, MiB", ...growth });
  await raw.removeContainer(container);
} finally {
  await daemon.stop();
}
await writeResults("heavy", results);
