// What the typed client adds to a web page: bundled and minified as a page's build does it, and compressed.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const parts = {
  "client, all of it": 'export { Clawdspace, ClawdspaceError } from "@clawdspace/client"',
  "zod alone": 'export * from "zod"',
};
for (const [name, contents] of Object.entries(parts)) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  const [{ contents: code }] = outputFiles;
  const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
  console.log(`${name}: ${kilobytes(code.length)}, gzipped ${kilobytes(gzipSync(code).length)}`);
}
