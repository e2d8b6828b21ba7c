import type { NodeList, Space } from "@clawdspace/client";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { queries } from "./queries.js";

interface AllSpaces {
  /** This node's, and what the others told last; undefined until this node has answered. */
  spaces: Space[] | undefined;
  nodes: NodeList["nodes"];
  /** The name of the node that serves this page. */
  self: string;
  error: Error | null;
  retry: () => void;
}

/** The spaces of all nodes. This node's own never wait for another. */
export function useAllSpaces(): AllSpaces {
  const own = useQuery(queries.spaces());
  const nodes = useQuery(queries.nodes()).data?.nodes ?? [];
  const self = nodes.find((node) => node.self)?.name ?? location.hostname;
  const others = useQuery({ ...queries.elsewhere(self), enabled: nodes.length > 1 }).data;
  const spaces = useMemo(
    () => own.data && [...own.data.map((space) => ({ ...space, node: self })), ...(others ?? [])],
    [own.data, others, self],
  );
  return { spaces, nodes, self, error: own.error, retry: () => void own.refetch() };
}
