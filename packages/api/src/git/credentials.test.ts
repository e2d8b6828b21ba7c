import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { credentialsFor, gitEnv, maskTokens, splitCredentials } from "./credentials.js";

const base = { PATH: process.env.PATH ?? "", HOME: "/nonexistent" };

it("answers git's question for a password from the environment alone", () => {
  const env = gitEnv(credentialsFor("https://git.example:8443/a/b", "s3cr3t-t0ken", "me"));
  const fill = (question: string) =>
    execFileSync("git", ["credential", "fill"], {
      env: { ...base, ...env },
      input: `${question}\n\n`,
      stdio: "pipe",
    }).toString();
  expect(fill("protocol=https\nhost=git.example:8443")).toContain(
    "username=me\npassword=s3cr3t-t0ken",
  );
  // No other server, port or scheme gets it, wherever a submodule or a redirect leads.
  for (const [protocol, host] of [
    ["https", "git.example"],
    ["https", "evil.example:8443"],
    ["https", "git.example:8443.evil.example"],
    ["http", "git.example:8443"],
  ]) {
    expect(fill(`protocol=${protocol}\nhost=${host}`)).not.toContain("s3cr3t");
  }
  // What git keeps or shows as configuration never holds the token.
  const config = execFileSync("git", ["config", "--list"], { env: { ...base, ...env } }).toString();
  expect(config).not.toContain("s3cr3t-t0ken");
  expect(config).toContain("core.hookspath=/dev/null");
});

it("asks nobody where there is no token", () => {
  const fill = () =>
    execFileSync("git", ["credential", "fill"], {
      env: { ...base, ...gitEnv() },
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

it.each(["http://git.example/a", "git@github.com:a/b", "/workspace/bare.git", "ext::sh -c id", ""])(
  "gives no token to %j",
  (url) => {
    expect(credentialsFor(url, "token")).toBeUndefined();
  },
);
