import type { Space } from "@clawdspace/client";
import { Boxes, Plus, Search } from "lucide-react";
import { lazy, Suspense, useCallback, useMemo, useRef, useState } from "react";
import { useSearchParams } from "react-router";
import { Button } from "../../components/button.js";
import { Empty, Failure } from "../../components/feedback.js";
import { useAllSpaces } from "../../lib/all-spaces.js";
import { isAwake } from "../../lib/queries.js";
import { useMay } from "../../lib/session.js";
import { useStored } from "../../lib/stored.js";
import { BulkBar } from "./bulk-bar.js";
import { select, useFilters, type View } from "./selection.js";
import { SpaceList } from "./space-list.js";
import { Toolbar } from "./toolbar.js";

const CreateDialog = lazy(() => import("./create-dialog.js"));
const RemoveDialog = lazy(() => import("./remove-dialog.js"));

const isNarrow = () => matchMedia("(max-width: 720px)").matches;

export function SpacesPage() {
  const { spaces, nodes, error, retry } = useAllSpaces();
  const silent = nodes.filter(({ status }) => status !== "online").map(({ name }) => name);
  const [params, setParams] = useSearchParams();
  const [filters, change] = useFilters();
  const [stored, setStored] = useStored<View>("clawdspace.view", isNarrow() ? "cards" : "list");
  const view = isNarrow() ? "cards" : stored;
  const shown = useMemo(() => select(spaces ?? [], filters), [spaces, filters]);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [removing, setRemoving] = useState<Space[]>();
  const mayCreate = useMay("agent");
  const creating = params.has("create");
  const setCreating = (open: boolean) =>
    setParams((old) => {
      const next = new URLSearchParams(old);
      if (open) next.set("create", "");
      else next.delete("create");
      return next;
    });
  const onSelect = useSelection(shown, setSelected);
  const onRemove = useCallback((space: Space) => setRemoving([space]), []);
  const chosen = useMemo(() => shown.filter(({ name }) => selected.has(name)), [shown, selected]);
  const all = spaces ?? [];
  const awake = all.filter(isAwake).length;
  const create = mayCreate && (
    <Button kind="primary" icon={<Plus />} data-shortcut="c" onClick={() => setCreating(true)}>
      New space
    </Button>
  );

  return (
    <>
      <header className="page-head">
        <h1>Spaces</h1>
        <span className="count num grow">
          {all.length > 0 && `${all.length} · ${awake} awake`}
          {silent.length > 0 && <span className="dim"> · no answer from {silent.join(", ")}</span>}
        </span>
        {create}
      </header>
      {all.length > 0 && (
        <Toolbar
          spaces={all}
          nodes={nodes.map(({ name }) => name)}
          filters={filters}
          onChange={change}
          view={view}
          onView={setStored}
        />
      )}
      {error && <Failure error={error} onRetry={retry} />}
      {!spaces && !error && (
        <div className="page-body">
          <div className="skeleton list-skeleton" />
        </div>
      )}
      {spaces && all.length === 0 && (
        <Empty icon={<Boxes />} title="No spaces yet" action={create}>
          A space is a computer of its own for an agent: a shell, files in <code>/workspace</code>,
          and limits on what it may use and reach. It sleeps when nobody uses it.
        </Empty>
      )}
      {all.length > 0 && shown.length === 0 && (
        <Empty
          icon={<Search />}
          title="Nothing matches"
          action={
            <Button onClick={() => change({ text: "", status: "", template: "", node: "" })}>
              Clear the filters
            </Button>
          }
        >
          None of {all.length} spaces is like that.
        </Empty>
      )}
      {shown.length > 0 && (
        <SpaceList
          spaces={shown}
          view={view}
          selected={selected}
          onSelect={onSelect}
          onRemove={onRemove}
        />
      )}
      {chosen.length > 0 && (
        <BulkBar
          chosen={chosen}
          total={shown.length}
          onAll={() => setSelected(new Set(shown.map(({ name }) => name)))}
          onNone={() => setSelected(new Set())}
          onRemove={() => setRemoving(chosen)}
        />
      )}
      <Suspense>
        {creating && <CreateDialog onClose={() => setCreating(false)} />}
        {removing && (
          <RemoveDialog
            spaces={removing}
            onClose={() => setRemoving(undefined)}
            onRemoved={() => setSelected(new Set())}
          />
        )}
      </Suspense>
    </>
  );
}

/** Selects one, or with the shift key all from the one before. */
function useSelection(
  shown: Space[],
  setSelected: (change: (old: ReadonlySet<string>) => ReadonlySet<string>) => void,
) {
  const last = useRef<string>(undefined);
  const latest = useRef(shown);
  latest.current = shown;
  return useCallback(
    (name: string, range: boolean) => {
      const names = latest.current.map((space) => space.name);
      const [a, b] = [names.indexOf(last.current ?? name), names.indexOf(name)].sort(
        (x, y) => x - y,
      );
      setSelected((old) => {
        const next = new Set(old);
        if (range && a !== undefined && b !== undefined && a >= 0) {
          for (const each of names.slice(a, b + 1)) next.add(each);
        } else if (!next.delete(name)) next.add(name);
        return next;
      });
      last.current = name;
    },
    [setSelected],
  );
}
