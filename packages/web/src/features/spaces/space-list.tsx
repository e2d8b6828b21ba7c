import type { Space } from "@clawdspace/client";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useLayoutEffect, useRef, useState } from "react";
import type { View } from "./selection.js";
import { type ItemProps, SpaceCard, SpaceRow } from "./space-row.js";

const ROW_PX = 65;
const CARD_PX = 186;
const CARD_MIN_WIDTH_PX = 320;
const GAP_PX = 14;

interface Props {
  spaces: Space[];
  view: View;
  selected: ReadonlySet<string>;
  onSelect: ItemProps["onSelect"];
  onRemove: ItemProps["onRemove"];
}

/** The spaces, of which only those in view are in the page: a thousand scroll like ten. */
export function SpaceList({ spaces, view, selected, onSelect, onRemove }: Props) {
  const scroller = useRef<HTMLElement>(null);
  const columns = useColumns(scroller, view);
  const lines = Math.ceil(spaces.length / columns);
  const lineHeight = view === "list" ? ROW_PX : CARD_PX + GAP_PX;
  const virtualizer = useVirtualizer({
    count: lines,
    getScrollElement: () => scroller.current,
    estimateSize: () => lineHeight,
    overscan: 6,
    getItemKey: (line) => spaces[line * columns]?.name ?? line,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was measured is forgotten when lines get another height
  useLayoutEffect(() => virtualizer.measure(), [lineHeight, virtualizer]);
  const Item = view === "list" ? SpaceRow : SpaceCard;
  return (
    <section className={`space-list ${view}`} ref={scroller} aria-label="Spaces" tabIndex={0}>
      {view === "list" && (
        <div className="space-row space-head" aria-hidden="true">
          <span />
          <span>Name</span>
          <span className="what">Template · image</span>
          <span className="where">Node</span>
          <span>CPU</span>
          <span>Memory</span>
          <span>Last use</span>
          <span />
        </div>
      )}
      <div className="lines" style={{ height: virtualizer.getTotalSize() }}>
        {virtualizer.getVirtualItems().map(({ index, start, key }) => (
          <div
            key={key}
            className="line"
            style={{
              transform: `translateY(${start}px)`,
              height: lineHeight,
              gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`,
            }}
          >
            {spaces.slice(index * columns, (index + 1) * columns).map((space) => (
              <Item
                key={space.name}
                space={space}
                selected={selected.has(space.name)}
                onSelect={onSelect}
                onRemove={onRemove}
              />
            ))}
          </div>
        ))}
      </div>
    </section>
  );
}

function useColumns(element: React.RefObject<HTMLElement | null>, view: View): number {
  const [columns, setColumns] = useState(1);
  useLayoutEffect(() => {
    const node = element.current;
    if (!node || view === "list") return setColumns(1);
    const measure = () =>
      setColumns(Math.max(1, Math.floor((node.clientWidth - 40) / CARD_MIN_WIDTH_PX)));
    const observer = new ResizeObserver(measure);
    observer.observe(node);
    measure();
    return () => observer.disconnect();
  }, [element, view]);
  return columns;
}
