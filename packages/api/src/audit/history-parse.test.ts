import fc from "fast-check";
import { expect, test } from "vitest";
import { parseHistory } from "./history-parse.js";

const all = { settled: true, max: 1000 };
const texts = (text: string, options = all) =>
  parseHistory(Buffer.from(text), 0, options).commands.map(({ command }) => command);

test("commands come with their times and where they end", () => {
  const text = "#1700000000\nls -l\n#1700000005\necho hi\n";
  expect(parseHistory(Buffer.from(text), 100, all)).toEqual({
    commands: [
      { command: "ls -l", at: new Date(1_700_000_000_000), end: 118 },
      { command: "echo hi", at: new Date(1_700_000_005_000), end: 138 },
    ],
    end: 138,
  });
});

test("a command of several lines is one, comments and empty lines in it included", () => {
  expect(texts("#1700000000\ncat <<E\n# not a time\n\n#12 neither\nE\n#1700000001\nls\n")).toEqual([
    "cat <<E\n# not a time\n\n#12 neither\nE",
    "ls",
  ]);
});

test("a shell that keeps no times has a command on each line", () => {
  expect(parseHistory(Buffer.from("ls\n\npwd\n#1700000000\nid\n"), 0, all).commands).toEqual([
    { command: "ls", at: undefined, end: 3 },
    { command: "pwd", at: undefined, end: 8 },
    { command: "id", at: new Date(1_700_000_000_000), end: 23 },
  ]);
});

test("what may be still being written waits", () => {
  const whole = "#1700000000\nls\n";
  for (const more of ["#1700000001\n", "#1700000001\nfor", "#1700000001\nfor x\n"]) {
    const { commands, end } = parseHistory(Buffer.from(whole + more), 0, {
      settled: false,
      max: 10,
    });
    expect(commands.map(({ command }) => command)).toEqual(["ls"]);
    expect(end).toBe(whole.length);
  }
  expect(texts(whole, { settled: false, max: 10 })).toEqual([]);
  expect(texts(`${whole}#1700000001\n`)).toEqual(["ls"]);
  expect(texts(`${whole}#17000`)).toEqual(["ls"]);
  expect(texts(`${whole}#1700000001\nfor x\n`)).toEqual(["ls", "for x"]);
});

test("no more than asked for are taken, and the rest follows", () => {
  const text = Array.from({ length: 50 }, (_, n) => `#17000000${10 + n}\necho ${n}\n`).join("");
  const found: string[] = [];
  for (let at = 0; at < text.length; ) {
    const { commands, end } = parseHistory(Buffer.from(text.slice(at)), at, {
      settled: true,
      max: 7,
    });
    expect(commands.length).toBeLessThanOrEqual(7);
    expect(end).toBeGreaterThan(at);
    found.push(...commands.map(({ command }) => command));
    at = end;
  }
  expect(found).toEqual(Array.from({ length: 50 }, (_, n) => `echo ${n}`));
});

test("however a file is cut up, the same commands come out", () => {
  const command = fc
    .array(
      fc.stringMatching(/^[ -~]{0,20}$/).filter((line) => !/^#\d{9,11}$/.test(line)),
      { minLength: 1, maxLength: 4 },
    )
    .filter((lines) => lines.join("").trim() !== "");
  fc.assert(
    fc.property(
      fc.array(command, { maxLength: 12 }),
      fc.array(fc.nat(60), { maxLength: 12 }),
      (commands, cuts) => {
        const text = commands
          .map((lines, n) => `#${1_700_000_000 + n}\n${lines.join("\n")}\n`)
          .join("");
        const found: string[] = [];
        let offset = 0;
        let visible = 0;
        for (const cut of [...cuts, text.length]) {
          visible = Math.min(text.length, visible + cut);
          const settled = visible === text.length;
          const piece = Buffer.from(text.slice(offset, visible));
          const parsed = parseHistory(piece, offset, { settled, max: 1000 });
          found.push(...parsed.commands.map(({ command }) => command));
          offset = parsed.end;
        }
        expect(found).toEqual(commands.map((lines) => lines.join("\n")));
      },
    ),
  );
});
