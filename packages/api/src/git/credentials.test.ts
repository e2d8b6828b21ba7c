import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { gitEnv, maskTokens, splitCredentials } from "./credentials.js";

const base = { PATH: process.env.PATH ?? "", HOME: "/nonexistent" };

it("answers git's question for a password from the environment alone", () => {
  const env = gitEnv("s3cr3t-t0ken", "me");
  const answer = execFileSync("git", ["credential", "fill"], {
    env: { ...base, ...env },
    input: "protocol=https\nhost=git.example\n\n",
  }).toString();
  expect(answer).toContain("username=me\npassword=s3cr3t-t0ken");
  // What git keeps or shows as configuration never holds the token.
  const config = execFileSync("git", ["config", "--list"], { env: { ...base, ...env } }).toString();
  expect(config).not.toContain("s3cr3t-t0ken");
  expect(config).toContain("core.hookspath=/dev/null");
});

it("asks nobody where there is no token", () => {
  const fill = () =>
    execFileSync("git", ["credential", "fill"], {
      env: { ...base, ...gitEnv(undefined) },
      input: "protocol=https\nhost=git.example\n\n",
      stdio: "pipe",
    });
  expect(fill().toString()).not.toContain("password=s");
});

it.each([
  ["https://github.com/a/b.git", { url: "https://github.com/a/b.git" }],
  ["https://tok@github.com/a/b", { url: "https://github.com/a/b", password: "tok" }],
  ["https://me:p%40ss@host/a", { url: "https://host/a", username: "me", password: "p@ss" }],
  ["git@github.com:a/b.git", { url: "git@github.com:a/b.git" }],
])("takes the credentials out of %s", (url, wanted) => {
  expect(splitCredentials(url)).toEqual({ username: undefined, password: undefined, ...wanted });
});

it("blanks a token out of what goes to a client, encoded or not", () => {
  expect(maskTokens("fatal: https://a/b said to/ken and to%2Fken", "to/ken")).toBe(
    "fatal: https://a/b said *** and ***",
  );
  expect(maskTokens("nothing to hide", undefined)).toBe("nothing to hide");
});
