import { defineConfig } from "vitest/config";

const project = (name: string, include: string[], timeout: number, retry = 0) => ({
  test: {
    ...{ name, include, testTimeout: timeout, hookTimeout: timeout, retry },
    pool: "forks" as const,
  },
});
/** What depends on an engine and on a busy machine's timing is tried once more; the reporter tells that it was. */
const RETRY = 1;

// Unit tests need Node alone; the engine contract and the end-to-end tests need a Docker Engine and the sandbox image.
export default defineConfig({
  test: {
    projects: [
      project(
        "unit",
        [
          "packages/*/src/**/*.test.ts",
          "clawdbot/plugins/*/src/**/*.test.ts",
          "scripts/**/*.test.mjs",
          "test/contract/fake-engine.test.ts",
        ],
        20_000,
      ),
      project(
        "contract",
        ["test/contract/**/!(fake-engine).test.ts", "packages/guest/test/**/*.test.ts"],
        120_000,
        RETRY,
      ),
      // Gigabytes of other people's packages: the agents' own gateways.
      {
        test: {
          ...project("hosts", ["test/hosts/**/*.test.ts"], 300_000, RETRY).test,
          fileParallelism: false,
        },
      },
      {
        test: {
          ...project("e2e", ["test/e2e/**/*.test.ts"], 240_000, RETRY).test,
          fileParallelism: false,
        },
      },
    ],
  },
});
