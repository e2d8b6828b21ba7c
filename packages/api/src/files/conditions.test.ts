import { describe, expect, it } from "vitest";
import { GuestError } from "../guest/types.js";
import { conditional } from "./conditions.js";
import type { FileFacts, ReadableFiles } from "./space-files.js";
import { WorkspacePath } from "./workspace-path.js";

const path = WorkspacePath.of({ path: "/a" });
const file = (etag: string | undefined) =>
  ({
    stat: async () => {
      if (!etag) throw new GuestError("not_found", "no");
      return { type: "file", size: 1, mtimeMs: 0, mode: 0o644, etag } satisfies FileFacts;
    },
  }) as unknown as ReadableFiles;
const run = (etag: string | undefined, conditions: Parameters<typeof conditional>[2]) =>
  conditional(file(etag), path, conditions, async (options) => options);

describe("conditional", () => {
  it("asks for nothing where the request asks for nothing", async () => {
    expect(await run("one", {})).toEqual({});
  });

  it("lets the write itself mind the etag that was seen", async () => {
    expect(await run("one", { ifMatch: ["two", "one"] })).toEqual({ ifMatch: "one" });
    expect(await run("one", { ifMatch: "*" })).toEqual({ ifMatch: "one" });
  });

  it("refuses another file, and none", async () => {
    await expect(run("one", { ifMatch: ["two"] })).rejects.toMatchObject({ code: "precondition" });
    await expect(run(undefined, { ifMatch: "*" })).rejects.toMatchObject({ code: "precondition" });
    await expect(run("one", { ifNoneMatch: ["one"] })).rejects.toMatchObject({
      code: "precondition",
    });
    expect(await run("one", { ifNoneMatch: ["two"] })).toEqual({});
  });

  it("makes a file that must not be there exclusively", async () => {
    expect(await run(undefined, { ifNoneMatch: "*" })).toEqual({ exclusive: true });
    const taken = async () => {
      throw new GuestError("exists", "is there");
    };
    await expect(conditional(file("one"), path, { ifNoneMatch: "*" }, taken)).rejects.toMatchObject(
      {
        code: "precondition",
      },
    );
  });
});
