import { type AuditEvent, type AuditFilter, ClawdspaceError } from "@clawdspace/client";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ScrollText } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Link } from "react-router";
import { api } from "../../api.js";
import { Empty, Failure } from "../../components/feedback.js";
import { ago, dateTime } from "../../lib/format.js";
import { useNow } from "../../lib/now.js";
import { useSettled } from "../../lib/settled.js";

const PAGE = 200;
const ROW_PX = 46;
const NEAR_END = 20;

/** Events newest first; older ones come as one scrolls. */
export function AuditList({ filter }: { filter: AuditFilter }) {
  const settled = useSettled(filter);
  const scroller = useRef<HTMLElement>(null);
  const [open, setOpen] = useState<number>();
  const audit = useInfiniteQuery({
    queryKey: ["audit", settled],
    queryFn: ({ pageParam }) =>
      api.audit.query({ ...settled, limit: PAGE, ...(pageParam ? { before: pageParam } : {}) }),
    initialPageParam: 0,
    getNextPageParam: (page) => page.next,
    placeholderData: (old) => old,
  });
  const events = audit.data?.pages.flatMap((page) => page.events.toReversed()) ?? [];
  const virtualizer = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
    getItemKey: (index) => events[index]?.id ?? index,
  });
  const items = virtualizer.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? 0;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = audit;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && lastShown > events.length - NEAR_END) {
      void fetchNextPage();
    }
  }, [hasNextPage, isFetchingNextPage, fetchNextPage, lastShown, events.length]);

  const invalid =
    audit.error instanceof ClawdspaceError && audit.error.code === "invalid_request"
      ? audit.error.issues?.map(({ path, message }) => `${path} ${message}`).join("; ")
      : undefined;
  return (
    <section className="audit-list" ref={scroller} aria-label="Events" tabIndex={0}>
      {invalid ? (
        <p className="pane dim">The filter isn't complete: {invalid}</p>
      ) : (
        audit.error && <Failure error={audit.error} onRetry={() => void audit.refetch()} />
      )}
      {audit.isSuccess && events.length === 0 && (
        <Empty icon={<ScrollText />} title="Nothing is logged">
          Whatever changes a space, a template or a key is written down here, with who did it.
        </Empty>
      )}
      <div className="lines" style={{ height: virtualizer.getTotalSize() }}>
        {items.map(({ index, start, key }) => {
          const event = events[index];
          return (
            event && (
              <div
                key={key}
                data-index={index}
                ref={virtualizer.measureElement}
                className="audit-line"
                style={{ transform: `translateY(${start}px)` }}
              >
                <AuditRow
                  event={event}
                  open={open === event.id}
                  onToggle={() => setOpen(open === event.id ? undefined : event.id)}
                />
              </div>
            )
          );
        })}
      </div>
      {isFetchingNextPage && <p className="dim audit-more">Older events…</p>}
    </section>
  );
}

interface RowProps {
  event: AuditEvent;
  open: boolean;
  onToggle: () => void;
}

function AuditRow({ event, open, onToggle }: RowProps) {
  const now = useNow();
  const { meta = {} } = event;
  const failed = meta.outcome !== undefined && meta.outcome !== "ok";
  return (
    <>
      <div className="audit-row">
        <time className="num dim" dateTime={event.ts} title={dateTime(event.ts)}>
          {ago(event.ts, now)}
        </time>
        <button type="button" className="audit-type" aria-expanded={open} onClick={onToggle}>
          <span className={`dot ${failed ? "failed" : "quiet"}`} />
          <code>{event.type}</code>
        </button>
        {event.space ? (
          <Link className="clip audit-space" to={`/spaces/${event.space}`}>
            {event.space}
          </Link>
        ) : (
          <span />
        )}
        <span className="clip dim mono audit-what">{summary(meta)}</span>
        <span className="clip dim audit-actor">{event.actor}</span>
      </div>
      {open && <pre className="audit-meta">{JSON.stringify(event, null, 2)}</pre>}
    </>
  );
}

/** The most telling of what an event says. */
function summary(meta: Record<string, unknown>): string {
  const { command, path, from, to, name, code, template, outcome, ...rest } = meta;
  if (outcome === "error" && code !== undefined) return String(code);
  if (command !== undefined) return Array.isArray(command) ? command.join(" ") : String(command);
  if (from !== undefined) return `${from} → ${to}`;
  if (Array.isArray(rest.lost)) return rest.lost.join("; ");
  const said = path ?? name ?? template ?? rest.session ?? rest.id ?? "";
  return String(said);
}
