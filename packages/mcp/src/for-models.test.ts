import { describe, expect, it } from "vitest";
import { asText, cutMiddle, describeResult, imageType } from "./for-models.js";

describe("cutMiddle", () => {
  it("keeps what is short, and both ends of what is long, with the count of what is gone", () => {
    expect(cutMiddle("abc", 3)).toBe("abc");
    expect(cutMiddle("0123456789", 4)).toBe("01\n[… 6 characters cut …]\n89");
  });

  it("leaves no half of a character", () => {
    const cut = cutMiddle("😀".repeat(9), 5);
    expect(cut).not.toMatch(/\p{Surrogate}/u);
    expect(cut).toMatch(/^😀\n\[… 14 characters cut …\]\n😀$/u);
  });
});

it("shows a command's exit code, stdout and stderr in this order, and what is missing", () => {
  const result = { exitCode: 2, stdout: "out", stderr: "err", stdoutTruncatedBytes: 7 };
  expect(describeResult({ ...result, timedOut: true })).toBe(
    "exit code: 2 (timed out)\nstdout:\nout\n[stdout: 7 more bytes were not kept]\nstderr:\nerr",
  );
  expect(describeResult({ exitCode: 0, stdout: "", stderr: "" })).toBe("exit code: 0");
});

it("tells text from other bytes, and images by their first bytes", () => {
  expect(asText(Buffer.from("grüße"))).toBe("grüße");
  expect(asText(Buffer.from([0xff, 0xfe, 0x41]))).toBeUndefined();
  expect(asText(Buffer.from("a\0b"))).toBeUndefined();
  expect(imageType(Buffer.from("\x89PNG\r\n", "latin1"))).toBe("image/png");
  expect(imageType(Buffer.from("RIFF\0\0\0\0WEBPVP8 ", "latin1"))).toBe("image/webp");
  expect(imageType(Buffer.from("a text"))).toBeUndefined();
});
