import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BINARY, make } from "./support.js";

const EM_AARCH64 = 183;
const PT_INTERP = 3;

test("it compiles for arm64 too, without a warning, to one static binary", () => {
  try {
    execFileSync("aarch64-linux-gnu-gcc", ["--version"], { stdio: "ignore" });
  } catch {
    throw new Error(
      "A compiler for arm64 is missing: install gcc-aarch64-linux-gnu and libc6-dev-arm64-cross.",
    );
  }
  make("arm64");
  const elf = readFileSync(join(BINARY, "../clawdspace-guest-arm64"));
  expect(elf.subarray(0, 5)).toEqual(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2]));
  expect(elf.readUInt16LE(18)).toBe(EM_AARCH64);
  const [at, size, count] = [
    Number(elf.readBigUInt64LE(32)),
    elf.readUInt16LE(54),
    elf.readUInt16LE(56),
  ];
  const kinds = Array.from({ length: count }, (_, n) => elf.readUInt32LE(at + n * size));
  expect(kinds).not.toContain(PT_INTERP);
});
