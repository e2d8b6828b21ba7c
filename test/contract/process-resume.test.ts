import { createCipheriv } from "node:crypto";
import { get } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask } from "../support/answers.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { bytesOf } from "../support/processes.js";

const TOTAL = 100 * 1000 * 1000;
const CUTS = 10;
/** Writes the key stream of a cipher: bytes that look random and that anybody can make again. */
const PROGRAM = `
const cipher = require("crypto").createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
const zeros = Buffer.alloc(65536);
let left = ${TOTAL};
const more = () => {
  while (left > 0) {
    const piece = cipher.update(zeros.subarray(0, Math.min(left, zeros.length)));
    left -= piece.length;
    if (!process.stdout.write(piece)) return process.stdout.once("drain", more);
  }
};
more();`;

describe.each([
  ["the guest agent", "on"],
  ["execs of the engine", "off"],
])("by %s", (_what, guest) => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    await daemon.space("box");
  });
  afterAll(() => daemon?.stop());

  /**
   * Reads lines from an offset on until the answer ends, or, where `cutAfter` bytes of it have come, tears the connection.
   * Whatever was half received then is lost with it, as it is for any client.
   */
  function read(path: string, from: number, cutAfter: number, onLine: (line: string) => void) {
    return new Promise<"ended" | "cut">((resolve, reject) => {
      const url = `${daemon.url}${path}?follow=1&from=${from}`;
      const request = get(url, { headers: { authorization: `Bearer ${daemon.key}` } }, (answer) => {
        let received = 0;
        let rest = "";
        answer.setEncoding("utf8");
        answer.on("data", (text: string) => {
          received += text.length;
          const lines = (rest + text).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines) onLine(line);
          if (received < cutAfter) return;
          request.destroy();
          resolve("cut");
        });
        answer.on("end", () => resolve("ended"));
        answer.on("error", reject);
      });
      request.on("error", (error) => reject(error));
    });
  }

  test("a hundred million bytes arrive one by one over a connection that is cut ten times", async () => {
    const start = await ask(daemon, "POST", "/api/spaces/box/processes", {
      command: ["node", "-e", PROGRAM],
      onFull: "block",
    });
    expect(start.status, JSON.stringify(start.body)).toBe(201);
    const path = `/api/spaces/box/processes/${start.body.process.id}/output`;
    const expected = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
    let at = 0;
    let exit: unknown;
    let cuts = 0;
    const onLine = (text: string) => {
      const line = JSON.parse(text);
      expect(line.type).not.toBe("dropped");
      expect(line.offset).toBe(at);
      if (line.type === "exit") exit = line;
      if (line.type !== "stdout") return;
      const bytes = bytesOf(line);
      if (!bytes.equals(expected.update(Buffer.alloc(bytes.length))))
        throw new Error(`other bytes than were written, from ${at} on`);
      at += bytes.length;
    };
    while (!exit) {
      // A tenth of the way after the last cut, somewhere within an answer.
      const due = cuts < CUTS && at >= (cuts * TOTAL) / CUTS;
      const how = await read(path, at, due ? 100_000 : Number.POSITIVE_INFINITY, onLine);
      if (how === "cut") cuts++;
    }
    expect(exit).toEqual({ type: "exit", offset: TOTAL, exitCode: 0 });
    expect([at, cuts]).toEqual([TOTAL, CUTS]);
  });
});
