import { expect, it } from "vitest";
import { createSteps } from "./steps.mjs";

function collector() {
  const text = [];
  return { text, write: (chunk) => text.push(chunk) };
}

it("says each step in one line with its detail and time", async () => {
  const out = collector();
  const { step } = createSteps(out);
  expect(await step("Build", () => "unchanged")).toBe("unchanged");
  await step("Engine", () => ({ detail: "Docker 27", address: "unix:///x" }));
  await step("Dependencies", () => undefined);
  expect(out.text.join("").replace(/\d+\.\d s/g, "N s")).toBe(
    "✓ Build: unchanged (N s)\n✓ Engine: Docker 27 (N s)\n✓ Dependencies (N s)\n",
  );
});

it("marks a step that failed and passes its error on", async () => {
  const out = collector();
  const failing = createSteps(out).step("Build", () => Promise.reject(new Error("no")));
  await expect(failing).rejects.toThrow("no");
  expect(out.text.join("")).toMatch(/^✗ Build \(\d+\.\d s\)\n$/);
});
