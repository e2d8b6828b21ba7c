import { describe, expect, it } from "vitest";
import { editText } from "./edit.js";

const edit = (oldText: string, newText: string) => ({ oldText, newText });

describe("editText", () => {
  it("makes edits one after another, as they are, whatever signs they hold", () => {
    const edits = [edit("one", "$1 & $&"), edit("$1", "two")];
    expect(editText("one\nthree", edits, false)).toEqual({
      text: "two & $&\nthree",
      replacements: 2,
    });
  });

  it("replaces what occurs several times only where that is said", () => {
    expect(() => editText("a a a", [edit("a", "b")], false)).toThrow("occurs 3 times");
    expect(editText("a a a", [edit("a", "b")], true)).toEqual({ text: "b b b", replacements: 3 });
  });

  it("changes nothing where one of several is not there", () => {
    expect(() => editText("a b", [edit("a", "x"), edit("c", "y")], false)).toThrow("edit 2");
  });
});
