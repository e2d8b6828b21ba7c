import { describe, expect, it } from "vitest";
import { parsePackages, sourceLines } from "./base-from-packages.mjs";
import { ROOT, readFiles } from "./sources.mjs";

describe("parsePackages", () => {
  it("reads names, optional ones and comments", () => {
    expect(parsePackages("# all of it\nbash\n\ngh?  # not in bullseye\n")).toEqual([
      { name: "bash", optional: false },
      { name: "gh", optional: true },
    ]);
  });

  it("reads the image's own list", () => {
    const [list] = readFiles(ROOT, ["docker/packages.txt"]);
    const entries = parsePackages(list.content.toString());
    expect(entries.length).toBeGreaterThan(20);
    for (const { name } of entries) expect(name).toMatch(/^[a-z0-9][a-z0-9+.-]+$/);
  });
});

describe("sourceLines", () => {
  const key = "/usr/share/keyrings/debian-archive-keyring.gpg";

  it("keeps the distribution's own releases, once each, with their keys", () => {
    const targets = [
      `http://mirror.example/debian/ bookworm main ${key}`,
      `http://mirror.example/debian/ bookworm main ${key}`,
      `http://mirror.example/debian-security/ bookworm-security main ${key}`,
    ].join("\n");
    expect(sourceLines(targets, "bookworm")).toEqual([
      `deb [signed-by=${key}] http://mirror.example/debian bookworm main`,
      `deb [signed-by=${key}] http://mirror.example/debian-security bookworm-security main`,
    ]);
  });

  it("leaves out third parties, other releases and backports", () => {
    const targets = [
      "https://deb.example.com/node_20.x/ nodistro main /usr/share/keyrings/example.gpg",
      "http://mirror.example/debian/ bookworm-backports main ",
      "http://mirror.example/debian/ trixie main ",
      "",
    ].join("\n");
    expect(sourceLines(targets, "bookworm")).toEqual([]);
  });

  it("takes a source without a key as it is", () => {
    expect(sourceLines("http://mirror.example/ubuntu/ noble universe ", "noble")).toEqual([
      "deb http://mirror.example/ubuntu noble universe",
    ]);
  });
});
