import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { docker } from "./daemon.mjs";

/** Keeps what was measured, with the machine that it was measured on, as bench/results/NAME.json. */
export async function writeResults(name, results) {
  const { ServerVersion } = await docker.info();
  const machine = {
    cpu: cpus()[0]?.model,
    cpus: cpus().length,
    kernel: release(),
    node: process.version,
    docker: ServerVersion,
  };
  const file = `bench/results/${name}.json`;
  mkdirSync("bench/results", { recursive: true });
  writeFileSync(file, `${JSON.stringify({ at: new Date(), machine, results }, null, 2)}\n`);
  console.log(`\nwritten to ${file}`);
}
