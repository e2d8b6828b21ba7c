import type { Event, StreamState } from "@clawdspace/client";
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { api } from "../api.js";
import { SESSION } from "./session.js";

/** Events so close to each other are one look. */
const BURST_MS = 120;

type State = StreamState | "connecting";
let state: State = "connecting";
const listeners = new Set<() => void>();

function setState(next: State) {
  state = next;
  for (const listener of listeners) listener();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Whether what the page shows follows the daemon right now. */
export const useLiveState = () => useSyncExternalStore(subscribe, () => state);

/** What an event makes outdated. */
function outdated({ type, space }: Event): string[][] {
  if (type === "stream.reset") return [];
  if (type.startsWith("template.")) return [["templates"], ["template"]];
  if (type.startsWith("node.")) return [["nodes"], ["elsewhere"], ["doctor"]];
  if (type.startsWith("file.")) return space ? [["audit"]] : [];
  const own = space
    ? [
        ["space", space],
        ["processes", space],
      ]
    : [];
  // Containers come, go and sleep with spaces; what the engine counts of them is on the system's page.
  const counts = type.startsWith("space.") ? [["system"]] : [];
  return [["spaces"], ["audit"], ...counts, ...own];
}

/** Follows the daemon's events for as long as the signal lasts: each one marks the queries that it makes outdated. */
async function follow(client: QueryClient, signal: AbortSignal): Promise<void> {
  let wasOpen = false;
  const onState = (next: StreamState) => {
    setState(next);
    if (next !== "open") return;
    // What happened while nobody listened is looked up.
    if (wasOpen) void client.invalidateQueries();
    wasOpen = true;
  };
  const pending = new Map<string, string[]>();
  let waiting = false;
  const flush = () => {
    waiting = false;
    for (const queryKey of pending.values()) void client.invalidateQueries({ queryKey });
    pending.clear();
  };
  for await (const event of api.events({ signal, onState })) {
    if (event.type === "stream.reset") void client.invalidateQueries();
    for (const key of outdated(event)) pending.set(key.join("/"), key);
    if (pending.size === 0 || waiting) continue;
    waiting = true;
    setTimeout(flush, BURST_MS);
  }
}

export function useLive(): void {
  const client = useQueryClient();
  useEffect(() => {
    const stop = new AbortController();
    follow(client, stop.signal).catch(() => {
      if (stop.signal.aborted) return;
      // The session is over, or the daemon refuses: who is signed in is asked again.
      setState("reconnecting");
      void client.invalidateQueries({ queryKey: SESSION });
    });
    return () => stop.abort();
  }, [client]);
}
