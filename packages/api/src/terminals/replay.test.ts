import { expect, it } from "vitest";
import { toReplay } from "./replay.js";

const replay = (text: string, cut = false) => toReplay(Buffer.from(text), cut).toString();

it("shows text, colours and cursor movements as they were", () => {
  const text = "\x1b[1;31mrot\x1b[0m \x1b[2K\x1b[10;20H\x1b]0;title\x07 é 🚀\r\n$ \x1b[?2004h";
  expect(replay(text)).toBe(text);
});

it("asks nothing", () => {
  const queries =
    "\x1b[c\x1b[0c\x1b[>c\x1b[=c\x1b[5n\x1b[6n\x1b[?6n\x1b[?2026$p\x1b[>0q\x1b[?u\x1b[18t\x1b[14t" +
    "\x1b]10;?\x07\x1b]11;?\x1b\\\x1b]4;1;?\x07\x1bP$qm\x1b\\\x1bP+q544e\x1b\\\x05";
  expect(replay(`a${queries}b`)).toBe("ab");
});

it("begins with a whole line where what comes before is gone", () => {
  expect(replay("1mhalf\nwhole\n", true)).toBe("whole\n");
  expect(replay("first\nsecond\n")).toBe("first\nsecond\n");
  expect(replay("no line", true)).toBe("no line");
});
