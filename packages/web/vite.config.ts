import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const MIN_BYTES = 1024;

/** Each text file also compressed, so that the daemon compresses nothing while it serves. */
const compressed: Plugin = {
  name: "compressed",
  apply: "build",
  // From the disk, when everybody has written what they have to say.
  writeBundle({ dir = "" }, bundle) {
    for (const name of Object.keys(bundle)) {
      if (!/\.(js|css)$/.test(name)) continue;
      const source = readFileSync(join(dir, name));
      if (source.length < MIN_BYTES) continue;
      writeFileSync(join(dir, `${name}.gz`), gzipSync(source));
      writeFileSync(join(dir, `${name}.br`), brotliCompressSync(source));
    }
  },
};

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), compressed],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
    reportCompressedSize: false,
    // Told by the tests, which measure what the first page loads.
    manifest: true,
  },
  server: { proxy: { "/api": { target: "http://localhost:7777", ws: true } } },
});
