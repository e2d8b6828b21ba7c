import { ClawdspaceError, type SpaceHandle } from "@clawdspace/client";
import type { FsBridge, NewContent, Place } from "./seam.js";
import { resolveTarget, WORKSPACE } from "./workspace-paths.js";

const TYPES = { file: "file", dir: "directory", symlink: "other", other: "other" } as const;

const isMissing = (error: unknown) =>
  error instanceof ClawdspaceError && error.code === "not_found";

/** Files of a space as the host's file tools use them. `isWritable` false refuses changes by those tools. */
export function createFsBridge(
  space: SpaceHandle,
  workspaceDir: string,
  isWritable: boolean,
): FsBridge {
  const { files } = space;
  const at = (place: Place) => resolveTarget(workspaceDir, place);
  const toChange = (place: Place) => {
    const target = at(place);
    if (isWritable) return target.apiPath;
    throw new Error(`The sandbox's workspace is read-only; ${target.containerPath} is unchanged.`);
  };
  const bytes = ({ data, encoding }: NewContent) =>
    new Uint8Array(typeof data === "string" ? Buffer.from(data, encoding) : data);
  const stopping = ({ signal }: Place) => (signal ? { signal } : {});

  return {
    pathMappings: [{ hostRoot: workspaceDir, containerRoot: WORKSPACE }],

    resolvePath(place) {
      const { relativePath, containerPath } = at(place);
      return { relativePath, containerPath };
    },

    async readFile(place) {
      const { apiPath, containerPath } = at(place);
      try {
        const { size, pieces } = await files.stream(apiPath, stopping(place));
        if (place.maxBytes !== undefined && (size ?? 0) > place.maxBytes) {
          throw new Error(
            `${containerPath} has ${size} bytes; at most ${place.maxBytes} are read. Read a part of it by a command.`,
          );
        }
        const read: Uint8Array[] = [];
        for await (const piece of pieces) read.push(piece);
        return Buffer.concat(read);
      } catch (error) {
        if (!isMissing(error)) throw error;
        throw Object.assign(new Error(`There is no file ${containerPath}.`), { code: "ENOENT" });
      }
    },

    async readDirectory(place) {
      const entries: { name: string; isDirectory: boolean }[] = [];
      for await (const { name, type } of files.entries(at(place).apiPath)) {
        entries.push({ name, isDirectory: type === "dir" });
      }
      return entries;
    },

    async writeFile(content) {
      await files.write(toChange(content), bytes(content), stopping(content));
    },

    async createFileExclusive(content) {
      try {
        const options = { ifNoneMatch: "*", ...stopping(content) };
        await files.write(toChange(content), bytes(content), options);
        return "created";
      } catch (error) {
        if (error instanceof ClawdspaceError && error.code === "precondition_failed") {
          return "exists";
        }
        throw error;
      }
    },

    async copyFile({ sourcePath, destinationPath, cwd }) {
      const from = at({ filePath: sourcePath, cwd }).apiPath;
      await files.copy(from, toChange({ filePath: destinationPath, cwd }), { overwrite: true });
    },

    async mkdirp(place) {
      const path = toChange(place);
      if (path !== "/") await files.mkdir(path);
    },

    async remove({ recursive = false, force = true, ...place }) {
      try {
        await files.remove(toChange(place), { recursive });
      } catch (error) {
        if (!force || !isMissing(error)) throw error;
      }
    },

    async rename({ from, to, cwd }) {
      const source = toChange({ filePath: from, cwd });
      await files.move(source, toChange({ filePath: to, cwd }), { overwrite: true });
    },

    async stat(place) {
      const { apiPath } = at(place);
      try {
        const { type, size, mtimeMs } = await files.stat(apiPath);
        return { type: TYPES[type], size, mtimeMs };
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },
  };
}
