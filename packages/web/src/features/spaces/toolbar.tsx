import type { Space } from "@clawdspace/client";
import { LayoutGrid, Rows3, Search } from "lucide-react";
import { Choice } from "../../components/choice.js";
import { Segments } from "../../components/segments.js";
import { type Filters, type Sort, templateOf, type View } from "./selection.js";

interface Props {
  /** All there are, whatever the filters leave. */
  spaces: Space[];
  nodes: string[];
  filters: Filters;
  onChange: (change: Partial<Filters>) => void;
  view: View;
  onView: (view: View) => void;
}

/** What of the spaces is shown, in which order, and how. */
export function Toolbar({ spaces, nodes, filters, onChange, view, onView }: Props) {
  const count = (status: string) => spaces.filter((space) => space.status === status).length;
  const templates = [...new Set(spaces.map(templateOf))].sort();
  return (
    <div className="toolbar">
      <div className="search grow">
        <Search aria-hidden="true" />
        <input
          className="input"
          type="search"
          aria-label="Search spaces"
          placeholder="Search names, images, labels"
          data-shortcut="/"
          value={filters.text}
          onChange={(event) => onChange({ text: event.target.value })}
        />
      </div>
      <Choice
        label="State"
        value={filters.status}
        onChange={(status) => onChange({ status })}
        options={[
          ["", "Any state"],
          ["running", `Running (${count("running")})`],
          ["paused", `Asleep (${count("paused")})`],
          ["stopped", `Stopped (${count("stopped")})`],
        ]}
      />
      <Choice
        label="Template"
        value={filters.template}
        onChange={(template) => onChange({ template })}
        options={[["", "Any template"], ...templates]}
      />
      {nodes.length > 1 && (
        <Choice
          label="Node"
          value={filters.node}
          onChange={(node) => onChange({ node })}
          options={[["", "Any node"], ...nodes]}
        />
      )}
      <Choice<Sort>
        label="Sort by"
        value={filters.sort}
        onChange={(sort) => onChange({ sort })}
        options={[
          ["name", "Name"],
          ["activity", "Last used"],
          ["created", "Newest"],
          ["memory", "Memory"],
        ]}
      />
      <div className="wide-only">
        <Segments<View>
          label="View"
          value={view}
          onChange={onView}
          shortcut="v"
          options={[
            { value: "list", text: <Rows3 />, label: "List" },
            { value: "cards", text: <LayoutGrid />, label: "Cards" },
          ]}
        />
      </div>
    </div>
  );
}
