import { type Actor, ClawdspaceError } from "@clawdspace/client";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "../api.js";

export const SESSION = ["session"];

/**
 * The key that the address carried, taken out of it at once so that it stays in no history and no bookmark.
 * To be called before anything else reads the address.
 */
export function takeKey(): string | undefined {
  const url = new URL(location.href);
  const key = url.searchParams.get("key");
  if (key === null) return undefined;
  url.searchParams.delete("key");
  history.replaceState(history.state, "", url);
  return key;
}

const given = takeKey();
let usedGiven = false;

/** Who is signed in: null is nobody. */
async function whoAmI(): Promise<Actor | null> {
  try {
    if (given !== undefined && !usedGiven) {
      usedGiven = true;
      return await api.session.create(given);
    }
    return await api.session.get();
  } catch (error) {
    if (error instanceof ClawdspaceError && error.code === "unauthorized") return null;
    throw error;
  }
}

export const useSession = () =>
  useQuery({ queryKey: SESSION, queryFn: whoAmI, staleTime: Number.POSITIVE_INFINITY, retry: 2 });

/** The actor; only below the shell, which shows nothing to nobody. */
export function useActor(): Actor {
  const actor = useQueryClient().getQueryData<Actor | null>(SESSION);
  return actor ?? { name: "", role: "viewer" };
}

/** Ends the session; with the page, all that it has shown is forgotten. */
export async function signOut(): Promise<void> {
  await api.session.delete();
  location.assign("/");
}

const RANK = { viewer: 0, agent: 1, admin: 2 };
export const useMay = (role: Actor["role"]) => RANK[useActor().role] >= RANK[role];
