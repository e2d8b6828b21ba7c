import { randomBytes } from "node:crypto";
import { finished } from "node:stream/promises";
import { pack } from "tar-stream";
import { docker } from "./daemon.mjs";

/**
 * A container made by Docker's API alone.
 * @param model the inspected container of a space: the new one has the same hardening, limits, mounts and network, and a
 *   volume of its own; without it, what a space has by default
 */
export async function createContainer(namespace, network, model) {
  const name = `${namespace}-raw-${randomBytes(4).toString("hex")}`;
  const own = { "clawdspace.namespace": namespace };
  const alike = model && {
    Image: model.Config.Image,
    Cmd: model.Config.Cmd,
    Entrypoint: [],
    User: model.Config.User,
    WorkingDir: model.Config.WorkingDir,
    OpenStdin: true,
    Labels: { ...own, "clawdspace.spec": model.Config.Labels["clawdspace.spec"] ?? "" },
    HostConfig: {
      ...model.HostConfig,
      Mounts: model.HostConfig.Mounts.map((mount) =>
        mount.Target === "/workspace"
          ? { ...mount, Source: name, VolumeOptions: { ...mount.VolumeOptions, Labels: own } }
          : mount,
      ),
    },
  };
  const container = await docker.createContainer({
    name,
    ...(alike ?? {
      Image: "clawdspace:latest",
      Cmd: ["sleep", "infinity"],
      User: "1001:1001",
      Labels: own,
      HostConfig: {
        Init: true,
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges"],
        Memory: 256 * 1024 ** 2,
        MemorySwap: 256 * 1024 ** 2,
        NanoCpus: 1e9,
        PidsLimit: 1024,
        NetworkMode: network,
        LogConfig: { Type: "none" },
        Tmpfs: { "/tmp": "rw,exec,size=128m", "/run": "rw,size=64m" },
      },
    }),
  });
  await container.start();
  return container;
}

/** Removes such a container, and its volume. */
export async function removeContainer(container) {
  const { Name } = await container.inspect();
  await container.remove({ force: true });
  await docker
    .getVolume(Name.slice(1))
    .remove()
    .catch(() => {});
}

/** A command by the engine's own exec: create, start, its output to the end, inspect. Resolves to the bytes of output. */
export async function exec(container, argv) {
  const created = await container.exec({ Cmd: argv, AttachStdout: true, AttachStderr: true });
  const stream = await created.start({ hijack: true, stdin: false });
  let bytes = 0;
  stream.on("data", (data) => {
    bytes += data.length;
  });
  await finished(stream, { writable: false });
  const { ExitCode } = await created.inspect();
  if (ExitCode !== 0) throw new Error(`${argv.join(" ")} ended with ${ExitCode}`);
  return bytes;
}

export async function readFile(container, path) {
  const stream = await container.getArchive({ path });
  stream.resume();
  await finished(stream);
}

export async function writeFile(container, folder, name, data) {
  const archive = pack();
  archive.entry({ name, uid: 1001, gid: 1001 }, data);
  archive.finalize();
  await container.putArchive(archive, { path: folder });
}
