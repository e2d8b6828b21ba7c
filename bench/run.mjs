// `npm run bench`: what agents wait for, each beside the raw Docker API call that does the same work in the same run.
import { docker, startDaemon } from "./daemon.mjs";
import { HEAD, measurer, timed } from "./measure.mjs";
import * as raw from "./raw.mjs";
import { writeResults } from "./results.mjs";

/** How many follow each other; of the engine's own a tenth, as each takes the longer. */
const IN_A_ROW = 1000;

const daemon = await startDaemon();
const { api, namespace } = daemon;
const results = [];
const measure = measurer(results);

console.log(HEAD);
try {
  await daemon.warmUp();
  const space = { name: "bench", memory: "256m" };
  await api("POST", "/spaces", space);
  const [{ Name: network }] = await docker.listNetworks({
    filters: { label: [`clawdspace.namespace=${namespace}`] },
  });
  const container = await raw.createContainer(namespace, network);
  const kilobyte = Buffer.alloc(1024, 7);
  const content = { contentBase64: kilobyte.toString("base64") };
  const fiftyMegabytes = ["head", "-c", "50M", "/dev/zero"];
  const command = { command: ["true"] };
  await measure({
    name: "exec true",
    rounds: 40,
    ours: () => timed(() => api("POST", "/spaces/bench/exec", command)),
    raw: () => timed(() => raw.exec(container, ["true"])),
  });
  await measure({
    name: `${IN_A_ROW} execs back to back, each`,
    rounds: 4,
    ours: async () =>
      (await timed(async () => {
        for (let i = 0; i < IN_A_ROW; i++) await api("POST", "/spaces/bench/exec", command);
      })) / IN_A_ROW,
    raw: async () =>
      (await timed(async () => {
        for (let i = 0; i < IN_A_ROW / 10; i++) await raw.exec(container, ["true"]);
      })) /
      (IN_A_ROW / 10),
  });
  await measure({
    name: "write 1 KiB",
    rounds: 30,
    ours: () => timed(() => api("PUT", "/spaces/bench/file?path=/kb", content)),
    raw: () => timed(() => raw.writeFile(container, "/tmp/..", "kb", kilobyte)),
  });
  await measure({
    name: "read 1 KiB",
    rounds: 30,
    ours: () => timed(() => api("GET", "/spaces/bench/file?path=/kb")),
    raw: () => timed(() => raw.readFile(container, "/kb")),
  });
  await measure({
    name: "50 MiB of output",
    rounds: 8,
    ours: () =>
      timed(() =>
        api("POST", "/spaces/bench/exec", { command: fiftyMegabytes, maxOutputBytes: 0 }),
      ),
    raw: () => timed(() => raw.exec(container, fiftyMegabytes)),
  });
  await measure({
    name: "wake and exec",
    rounds: 20,
    ours: async () => {
      await api("POST", "/spaces/bench/stop");
      return await timed(() => api("POST", "/spaces/bench/exec", command));
    },
    raw: async () => {
      await container.pause();
      return await timed(async () => {
        await container.unpause();
        await raw.exec(container, ["true"]);
      });
    },
  });
  await measure({
    name: "list",
    rounds: 30,
    ours: () => timed(() => api("GET", "/spaces")),
    raw: () =>
      timed(() =>
        docker.listContainers({
          all: true,
          filters: { label: [`clawdspace.namespace=${namespace}`] },
        }),
      ),
  });
  await container.remove({ force: true });
  let made = 0;
  await measure({
    name: "create",
    rounds: 10,
    ours: async () => {
      const name = `made-${made++}`;
      const took = await timed(() => api("POST", "/spaces", { ...space, name }));
      await api("DELETE", `/spaces/${name}?removeVolume=true`);
      return took;
    },
    raw: async () => {
      let fresh;
      const took = await timed(async () => {
        fresh = await raw.createContainer(namespace, network);
      });
      await fresh.remove({ force: true });
      return took;
    },
  });
  await measure({
    name: "create to first exec answered",
    rounds: 10,
    ours: async () => {
      const name = `made-${made++}`;
      const took = await timed(async () => {
        await api("POST", "/spaces", { ...space, name });
        await api("POST", `/spaces/${name}/exec`, command);
      });
      await api("DELETE", `/spaces/${name}?removeVolume=true`);
      return took;
    },
    raw: async () => {
      let fresh;
      const took = await timed(async () => {
        fresh = await raw.createContainer(namespace, network);
        await raw.exec(fresh, ["true"]);
      });
      await fresh.remove({ force: true });
      return took;
    },
  });
} finally {
  await daemon.stop();
}
await writeResults("latest", results);
