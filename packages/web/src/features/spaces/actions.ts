import { type QueryClient, useMutation, useQueryClient } from "@tanstack/react-query";
import { api } from "../../api.js";
import { toast } from "../../components/toast.js";

export type Verb = "start" | "stop";
const DONE = { start: "awake", stop: "asleep" };
const AT_ONCE = 6;

/** Runs a task for each item, a few at a time; tells how many failed, and the first error. */
export async function forEach<T>(items: T[], task: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items];
  const errors: unknown[] = [];
  const work = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) {
      await task(item).catch((error: unknown) => errors.push(error));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (errors.length === 0) return;
  const [first] = errors;
  const message = first instanceof Error ? first.message : String(first);
  if (items.length === 1) throw first;
  throw new Error(`${errors.length} of ${items.length} failed. The first: ${message}`);
}

/** What is done to spaces of other nodes, no event tells of here. */
export const lookAgain = async (client: QueryClient) => {
  await Promise.all(
    ["spaces", "elsewhere"].map((key) => client.invalidateQueries({ queryKey: [key] })),
  );
};

/** Wakes spaces or puts them to sleep, one or many. */
export function useLifecycle() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ verb, names }: { verb: Verb; names: string[] }) =>
      await forEach(names, (name) => api.spaces[verb](name)),
    onSuccess: (_, { verb, names }) =>
      toast.done(
        names.length === 1
          ? `${names[0]} is ${DONE[verb]}`
          : `${names.length} spaces are ${DONE[verb]}`,
      ),
    onSettled: () => lookAgain(client),
  });
}

export function useRemove() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ names, removeVolume }: { names: string[]; removeVolume: boolean }) =>
      await forEach(names, (name) => api.spaces.remove(name, { removeVolume })),
    onSuccess: (_, { names }) =>
      toast.done(names.length === 1 ? `${names[0]} is removed` : `${names.length} spaces removed`),
    onSettled: () => lookAgain(client),
  });
}
