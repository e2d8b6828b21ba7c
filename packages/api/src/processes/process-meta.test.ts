import { expect, it } from "vitest";
import { decodeMeta, encodeMeta, isOrphan } from "./process-meta.js";

const meta = { kind: "exec", command: "true", cwd: "/workspace", user: "sandbox" } as const;

it("comes back as it was", () => {
  const decoded = decodeMeta(encodeMeta({ ...meta, tag: "t", timeoutMs: 5 }));
  expect(decoded).toMatchObject({ ...meta, tag: "t", timeoutMs: 5 });
});

it("fits into what the guest agent keeps, whatever the command", () => {
  for (const command of ["\u0001".repeat(1_000_000), Array(9000).fill("é".repeat(100))]) {
    const bytes = encodeMeta({ ...meta, command, cwd: "\u0002".repeat(4096) });
    expect(bytes.length).toBeLessThanOrEqual(16 * 1024);
    expect(decodeMeta(bytes)?.kind).toBe("exec");
  }
});

it("takes nothing that is not its own", () => {
  for (const text of [
    "",
    "{",
    "null",
    "{}",
    '{"kind":"exec"}',
    JSON.stringify({ ...meta, kind: "x" }),
  ])
    expect(decodeMeta(Buffer.from(text))).toBeUndefined();
});

it("knows whose reader is gone", () => {
  const own = decodeMeta(encodeMeta(meta));
  expect(own && isOrphan(own)).toBe(false);
  const earlier = decodeMeta(Buffer.from(JSON.stringify({ ...meta, daemon: "earlier" })));
  expect(earlier && isOrphan(earlier)).toBe(true);
  expect(earlier && isOrphan({ ...earlier, kind: "background" })).toBe(false);
});
