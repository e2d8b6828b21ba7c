import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api.js";
import { useStored } from "../../lib/stored.js";

/** The sessions of a space that this browser shows as tabs: those that it opened, and those that others left running. */
export function useSessions(space: string) {
  const client = useQueryClient();
  const [opened, setOpened] = useStored<string[]>(`clawdspace.terminals.${space}`, []);
  const [current, setCurrent] = useState<string>();
  const key = ["terminals", space];
  const running = useQuery({
    queryKey: key,
    queryFn: () => api.space(space).terminals.list(),
  });
  const known = (running.data ?? []).map(({ session }) => session);
  const tabs = [...new Set([...opened, ...known])];
  // The first look at a space opens a shell.
  if (tabs.length === 0 && running.isSuccess) tabs.push("main");
  const shown = current !== undefined && tabs.includes(current) ? current : tabs[0];

  return {
    isPending: running.isPending && opened.length === 0,
    error: running.error,
    tabs,
    shown,
    show: setCurrent,
    add() {
      const taken = new Set([...tabs]);
      let number = tabs.length + 1;
      while (taken.has(`shell-${number}`)) number += 1;
      const name = taken.size === 0 ? "main" : `shell-${number}`;
      setOpened([...tabs, name]);
      setCurrent(name);
    },
    /** Closes the tab and hangs its shell up. */
    async end(session: string) {
      setOpened(opened.filter((each) => each !== session));
      await api
        .space(space)
        .terminals.end(session)
        .catch(() => {});
      await client.invalidateQueries({ queryKey: key });
    },
  };
}
