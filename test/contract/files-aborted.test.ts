import { readdir } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { SpaceFilesClient } from "../support/files.js";

const MIB = 1024 ** 2;
const TIMES = 5;
const BYTES = { "content-type": "application/octet-stream" };

/** The beginning of a tar archive: one whole file, then a large one that breaks off. */
function tarStart(): Buffer {
  const header = (name: string, size: number) => {
    const block = Buffer.alloc(512);
    block.write(name, 0);
    block.write("0000644\0", 100);
    block.write("0001751\0", 108);
    block.write("0001751\0", 116);
    block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
    block.write("00000000000\0", 136);
    block.write("        0", 148);
    block.write("ustar\0" + "00", 257);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return block;
  };
  return Buffer.concat([
    header("whole", 512),
    Buffer.alloc(512, "w"),
    header("large", 64 * MIB),
    Buffer.alloc(3 * MIB, "l"),
  ]);
}

const form = (file: string, rest: Buffer) =>
  Buffer.concat([
    Buffer.from(
      `--cut\r\ncontent-disposition: form-data; name="files"; filename="${file}"\r\ncontent-type: application/octet-stream\r\n\r\n`,
    ),
    rest,
  ]);

/** Uploads that break off: the route, the headers and the beginning of the body. */
const UPLOADS: [string, string, string, Record<string, string>, Buffer][] = [
  ["raw", "PUT", "/files/raw?path=/kept/new", BYTES, Buffer.alloc(3 * MIB, "r")],
  ["raw over a file", "PUT", "/files/raw?path=/kept/old", BYTES, Buffer.alloc(3 * MIB, "r")],
  [
    "JSON",
    "PUT",
    "/file?path=/kept/old",
    { "content-type": "application/json" },
    Buffer.from(`{"contentBase64":"${"A".repeat(MIB)}`),
  ],
  [
    "a form",
    "POST",
    "/files/upload?path=/kept",
    { "content-type": "multipart/form-data; boundary=cut" },
    form("old", Buffer.alloc(3 * MIB, "m")),
  ],
  [
    "zip",
    "PUT",
    "/files/archive?path=/kept",
    { "content-type": "application/zip" },
    Buffer.concat([Buffer.from("PK\u0003\u0004"), Buffer.alloc(3 * MIB)]),
  ],
  // What came before the break stays, whole.
  [
    "tar",
    "PUT",
    "/files/archive?path=/kept/tar",
    { "content-type": "application/x-tar" },
    tarStart(),
  ],
];

/** What the old file holds, and the files that are there. */
const LEFT = "old./kept/old\n./kept/tar/whole\n";

const DOWNLOADS: [string, string][] = [
  ["raw", "/files/raw?path=/large/zeros"],
  ["tar", "/files/archive?path=/large"],
  ["zip", "/files/archive?path=/large&format=zip"],
  ["watch", "/files/watch?path=/kept"],
];

describe.each([
  ["the guest agent", "on"],
  ["execs of the engine", "off"],
])("transfers that break off, by %s", (_what, guest) => {
  let daemon: Daemon;
  let files: SpaceFilesClient;
  let guestPid: number;

  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    files = new SpaceFilesClient(daemon, await daemon.space("aborted"));
    await files.inside(
      "mkdir -p kept/tar large && printf old > kept/old && truncate -s 256M large/zeros",
    );
    guestPid = (await docker.getContainer(await files.containerId()).inspect()).State.Pid;
    await settle();
  });
  afterAll(async () => await daemon.stop());

  const counted = async (pid: number) => (await readdir(`/proc/${pid}/fd`)).length;
  const processes = async () =>
    (await docker.getContainer(await files.containerId()).top()).Processes.length;
  /** Counts what is open now; what it returns waits until no more is. */
  const counting = async () => {
    const before = {
      daemon: await counted(daemon.pid),
      guest: await counted(guestPid),
      processes: await processes(),
    };
    return async () => {
      await expect
        .poll(() => counted(guestPid), { timeout: 30_000 })
        .toBeLessThanOrEqual(before.guest);
      await expect.poll(processes, { timeout: 30_000 }).toBeLessThanOrEqual(before.processes);
      await expect
        .poll(() => counted(daemon.pid), { timeout: 30_000 })
        .toBeLessThanOrEqual(before.daemon + 4);
    };
  };
  /** One of each, so that what is kept for the next request is there. */
  const settle = async () => {
    await files.text("/kept/old");
    await files.put("/kept/old", "old");
    for (const [, rest] of DOWNLOADS) await breakOff(rest);
  };

  async function breakOff(rest: string): Promise<void> {
    const { request, answered } = files.stream("GET", rest);
    request.on("error", () => {});
    const answer: IncomingMessage = await answered();
    answer.on("error", () => {});
    if (answer.statusCode === 200 && !rest.includes("watch")) {
      await new Promise((resolve) => answer.once("data", resolve));
    }
    request.destroy();
  }

  /** Sends the beginning of an upload and resolves when the daemon has taken all of it, or much. */
  async function begin([, method, rest, headers, start]: (typeof UPLOADS)[number]) {
    const { request } = files.stream(method, rest, { ...headers, "content-length": `${64 * MIB}` });
    request.on("error", () => {});
    await new Promise<void>((resolve) => request.write(start, () => resolve()));
    return request;
  }

  const left = async () =>
    await files.inside(
      "cd /workspace && cat kept/old && find . /tmp -path ./large -prune -o -type f -print | LC_ALL=C sort",
    );
  const uploads = async () => await readdir(join(daemon.folder, "data/uploads")).catch(() => []);

  test("uploads leave the old file, nothing half, and no descriptor", async () => {
    const isAsBefore = await counting();
    for (let time = 0; time < TIMES; time++) {
      const requests = await Promise.all(UPLOADS.map(begin));
      for (const request of requests) request.destroy();
    }
    await expect.poll(left, { timeout: 30_000 }).toBe(LEFT);
    await expect.poll(uploads, { timeout: 30_000 }).toEqual([]);
    await isAsBefore();
  });

  test("downloads leave no stream and no descriptor", async () => {
    const isAsBefore = await counting();
    for (let time = 0; time < TIMES; time++) {
      await Promise.all(DOWNLOADS.map(([, rest]) => breakOff(rest)));
    }
    await isAsBefore();
    // Nothing holds the space awake.
    expect((await files.json("POST", "/stop")).status).toBe(200);
    expect(await files.status()).toBe("paused");
    await files.json("POST", "/start");
  });

  test("a daemon that is killed amid uploads and downloads leaves nothing of them", async () => {
    const before = { guest: await counted(guestPid), processes: await processes() };
    const requests = await Promise.all(UPLOADS.map(begin));
    const reading = files.stream("GET", "/files/raw?path=/large/zeros");
    reading.request.on("error", () => {});
    const answer = await reading.answered();
    answer.on("error", () => {});
    await daemon.kill("SIGKILL");
    for (const request of [...requests, reading.request]) request.destroy();
    await daemon.run();
    expect(await files.text("/kept/old")).toBe("old");
    await expect.poll(left, { timeout: 30_000 }).toBe(LEFT);
    await expect
      .poll(() => counted(guestPid), { timeout: 30_000 })
      .toBeLessThanOrEqual(before.guest);
    await expect.poll(processes, { timeout: 30_000 }).toBeLessThanOrEqual(before.processes);
    expect(await uploads()).toEqual([]);
  });
});
