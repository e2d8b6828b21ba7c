import { TemplateSchema } from "@clawdspace/protocol";
import { CompletionContext } from "@codemirror/autocomplete";
import { EditorState } from "@codemirror/state";
import { expect, it } from "vitest";
import { completeTemplate, TEMPLATE_KEYS } from "./template-schema.js";

const offered = (doc: string) =>
  completeTemplate(
    new CompletionContext(EditorState.create({ doc }), doc.length, true),
  )?.options.map(({ label }) => label) ?? [];

it("offers every key that a template may have, and no other", () => {
  const shape = TemplateSchema.shape as Record<string, unknown>;
  const known = Object.keys(shape).filter((key) => key !== "managed");
  expect(Object.keys(TEMPLATE_KEYS).sort()).toEqual(known.sort());
  for (const section of ["resources", "security", "network", "workspace", "sleep"] as const) {
    const schema = shape[section] as { unwrap(): { shape: object } };
    const keys = Object.keys(TEMPLATE_KEYS[section]?.keys ?? {}).sort();
    expect(keys).toEqual(Object.keys(schema.unwrap().shape).sort());
  }
});

it("knows where the cursor stands", () => {
  expect(offered("name: x\nres")).toContain("resources");
  expect(offered("resources:\n  mem")).toEqual(expect.arrayContaining(["memory", "cpus"]));
  expect(offered("network:\n  mode: ")).toEqual(["none", "internet", "lan"]);
  expect(offered("name: x\nsetup:\n  - ec")).toEqual([]);
});
