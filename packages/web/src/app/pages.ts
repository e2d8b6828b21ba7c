import { Boxes, FileStack, Gauge, ScrollText, Server } from "lucide-react";

/** The pages, each with the key that leads to it after "g". */
export const PAGES = [
  { to: "/spaces", name: "Spaces", icon: Boxes, key: "s" },
  { to: "/nodes", name: "Nodes", icon: Server, key: "n" },
  { to: "/templates", name: "Templates", icon: FileStack, key: "t" },
  { to: "/audit", name: "Audit", icon: ScrollText, key: "a" },
  { to: "/system", name: "System", icon: Gauge, key: "y" },
];
