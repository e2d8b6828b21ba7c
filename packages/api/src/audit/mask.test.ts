import { describe, expect, test } from "vitest";
import { maskSecrets, secretsOf, toRecord } from "./mask.js";

// Put together here, so that no scanner takes a made-up token in this file for a real one.
const github = `ghp_${"a1B2".repeat(9)}`;
const aws = `AKIA${"ABCDEFGH12345678"}`;
const jwt = `eyJ${"hbGciOiJI"}.eyJ${"zdWIiOiIx"}.${"c2lnbmF0dXJl"}`;

describe("maskSecrets", () => {
  test.each([
    [
      "git clone https://user:hunter2@host.example/r.git",
      "git clone https://***@host.example/r.git",
    ],
    [`git clone https://${github}@github.com/o/r`, "git clone https://***@github.com/o/r"],
    [
      "curl 'http://h:7777/api/spaces?a=1&key=hunter2&b=2'",
      "curl 'http://h:7777/api/spaces?a=1&key=***&b=2'",
    ],
    ["curl h/x?access_token=hunter2; exit 3", "curl h/x?access_token=***; exit 3"],
    ["curl -H 'Authorization: Bearer hunter2hunter2' h", "curl -H 'Authorization: Bearer ***' h"],
    ['curl -H "X-Api-Key: hunter2" h', 'curl -H "X-Api-Key: ***" h'],
    ["curl -u me:hunter2 h", "curl -u me:*** h"],
    ["export DB_PASSWORD=hunter2 && run", "export DB_PASSWORD=*** && run"],
    ["MY_API_KEY='hunter2 hunter2' run", "MY_API_KEY=*** run"],
    ['echo \'{"apiKey": "hunter2", "a": 1}\'', 'echo \'{"apiKey": ***, "a": 1}\''],
    ["mysql --password hunter2 -h db", "mysql --password *** -h db"],
    ["mysql --password=hunter2 -h db", "mysql --password=*** -h db"],
    [`echo ${github} ${aws} ${jwt}`, "echo *** *** ***"],
    [`printf clawdspace_sk_live_${"0".repeat(32)}`, "printf ***"],
    ["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- x", "*** x"],
  ])("%s", (text, masked) => {
    expect(maskSecrets(text)).toBe(masked);
  });

  test.each([
    "ls -la /workspace",
    "npm run test -- --token-count 3",
    "cat src/auth/key.ts",
    "git push origin main",
    "echo user@host:path",
  ])("leaves %s alone", (text) => {
    expect(maskSecrets(text)).toBe(text);
  });

  test("what is known to be a secret goes wherever it stands", () => {
    expect(maskSecrets("echo correct-horse | base64", ["correct-horse"])).toBe("echo *** | base64");
  });

  test("a long text is cut, and no half of a secret is left at the cut", () => {
    const text = `${"x".repeat(12 * 1024 - 20)} ${github} end`;
    const masked = maskSecrets(text);
    expect(masked.length).toBeLessThan(8 * 1024 + 100);
    expect(masked).toMatch(/… cut, of \d+ characters$/);
    expect(maskSecrets(`${"a b=".repeat(3000)}${github}`)).not.toContain("ghp_");
  });

  test.each([
    "token-",
    "a.",
    "key=",
    "eyJ-",
    "https://",
    "-----BEGIN ",
    "bearer ",
    '"password" : ',
  ])("a hostile text of many %s ends", (piece) => {
    expect(maskSecrets(piece.repeat(100_000)).length).toBeLessThan(9 * 1024);
  });
});

test("values of an environment are secrets by their name or their length", () => {
  const env = {
    NODE_ENV: "production",
    GITHUB_TOKEN: "abcd",
    SHORT_TOKEN: "abc",
    BLOB: "x".repeat(24),
  };
  expect(secretsOf(env)).toEqual(["x".repeat(24), "abcd"]);
});

test("records mask in depth, cut what is long and pass over what is no data", () => {
  expect(toRecord(["curl", "--token", "hunter2", "h?key=hunter2"])).toEqual([
    "curl",
    "--token",
    "***",
    "h?key=***",
  ]);
  expect(toRecord({ a: { b: ["x", 1, null, true] }, f: () => 1 })).toEqual({
    a: { b: ["x", 1, null, true] },
    f: undefined,
  });
  expect(toRecord(Array.from({ length: 500 }, () => "w"))).toHaveLength(101);
});
