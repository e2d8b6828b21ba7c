import type { Space } from "@clawdspace/client";
import { useMemo } from "react";
import { useSearchParams } from "react-router";

export type Sort = "name" | "activity" | "created" | "memory";
export type View = "list" | "cards";

export interface Filters {
  text: string;
  status: string;
  template: string;
  node: string;
  sort: Sort;
}

const COMPARE: Record<Sort, (a: Space, b: Space) => number> = {
  name: (a, b) => a.name.localeCompare(b.name),
  activity: (a, b) => b.lastActivity.localeCompare(a.lastActivity),
  created: (a, b) => b.created.localeCompare(a.created),
  memory: (a, b) => b.memory - a.memory,
};

export const templateOf = ({ template }: Space) => template ?? "default";

/** The spaces that filters leave, in their order. */
export function select(spaces: Space[], { text, status, template, node, sort }: Filters): Space[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (space: Space) => {
    if (status !== "" && space.status !== status) return false;
    if (template !== "" && templateOf(space) !== template) return false;
    if (node !== "" && space.node !== node) return false;
    const labels = Object.entries(space.labels ?? {}).map(([name, value]) => `${name}=${value}`);
    const haystack = [space.name, space.image, space.template, space.description, ...labels]
      .join(" ")
      .toLowerCase();
    return words.every((word) => haystack.includes(word));
  };
  return spaces.filter(matches).sort(COMPARE[sort]);
}

/** The filters as the address has them, so that a view can be sent to somebody. */
export function useFilters(): [Filters, (change: Partial<Filters>) => void] {
  const [params, setParams] = useSearchParams();
  const filters = useMemo(
    () => ({
      text: params.get("q") ?? "",
      status: params.get("state") ?? "",
      template: params.get("template") ?? "",
      node: params.get("node") ?? "",
      sort: (params.get("sort") as Sort | null) ?? "name",
    }),
    [params],
  );
  const change = ({ text, status, template, node, sort }: Partial<Filters>) =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        const set = (name: string, value: string | undefined, none = "") => {
          if (value === undefined) return;
          if (value === none) next.delete(name);
          else next.set(name, value);
        };
        set("q", text);
        set("state", status);
        set("template", template);
        set("node", node);
        set("sort", sort, "name");
        return next;
      },
      { replace: true },
    );
  return [filters, change];
}
