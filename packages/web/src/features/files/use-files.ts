import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api } from "../../api.js";
import { toast } from "../../components/toast.js";
import { join, nameOf, parentOf } from "./paths.js";
import { upload } from "./upload.js";

const folderKey = (space: string, path: string) => ["files", space, path];

export const useFolder = (space: string, path: string) =>
  useQuery({
    queryKey: folderKey(space, path),
    queryFn: async () => {
      const { entries } = await api.space(space).files.list(path);
      return entries.toSorted(
        (a, b) =>
          Number(b.type === "dir") - Number(a.type === "dir") || a.name.localeCompare(b.name),
      );
    },
  });

/** Looks again at folders in which something changed, as the space itself tells. */
export function useWatch(space: string, awake: boolean): void {
  const client = useQueryClient();
  useEffect(() => {
    if (!awake) return;
    const stop = new AbortController();
    const look = async () => {
      const watch = api.space(space).files.watch("/", { recursive: true, signal: stop.signal });
      for await (const event of watch) {
        if (event.type === "overflow") {
          void client.invalidateQueries({ queryKey: ["files", space] });
          continue;
        }
        for (const path of event.type === "renamed" ? [event.from, event.path] : [event.path]) {
          void client.invalidateQueries({ queryKey: folderKey(space, parentOf(path)) });
          void client.invalidateQueries({ queryKey: ["stat", space, path] });
        }
      }
    };
    // Where nothing can be watched, what this page changes itself is still looked up.
    look().catch(() => {});
    return () => stop.abort();
  }, [client, space, awake]);
}

/** What can be done with files; folders are looked at again after each. */
export function useFileActions(space: string) {
  const client = useQueryClient();
  const { files } = api.space(space);
  const settled = { onSettled: () => client.invalidateQueries({ queryKey: ["files", space] }) };
  const rename = useMutation({
    mutationFn: ({ from, to }: { from: string; to: string }) => files.move(from, to),
    ...settled,
  });
  const remove = useMutation({
    mutationFn: (path: string) => files.remove(path, { recursive: true }),
    onSuccess: (_, path) => toast.done(`${nameOf(path)} is deleted`),
    ...settled,
  });
  const make = useMutation({
    mutationFn: async ({ folder, name }: { folder: string; name: string }) => {
      const path = join(folder, name.replace(/\/+$/, ""));
      if (name.endsWith("/")) await files.mkdir(path);
      else await files.write(path, "", { ifNoneMatch: "*" });
      return path;
    },
    ...settled,
  });
  return { rename, remove, make };
}

/** Uploads, and how far they are: 0 to 1, undefined where none is under way. */
export function useUpload(space: string) {
  const client = useQueryClient();
  const [share, setShare] = useState<number>();
  const start = async (folder: string, files: { name: string; data: File }[]) => {
    if (files.length === 0) return;
    setShare(0);
    try {
      await upload(space, folder, files, setShare);
      toast.done(
        files.length === 1 ? `${files[0]?.name} is uploaded` : `${files.length} files are uploaded`,
      );
    } catch (error) {
      toast.error(error);
    }
    setShare(undefined);
    await client.invalidateQueries({ queryKey: ["files", space] });
  };
  return { share, start };
}
