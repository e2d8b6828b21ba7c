import type { AuditEvent } from "@clawdspace/protocol";
import { decodeLine } from "./audit-line.js";
import { actorKey, type Block, type BlockIndex, spaceKey, typeKey } from "./block-index.js";

/** Which events are asked for; what is undefined doesn't matter. */
export interface AuditFilter {
  space?: string | undefined;
  type?: string | undefined;
  actor?: string | undefined;
  /** Included. */
  since?: Date | undefined;
  /** Left out. */
  until?: Date | undefined;
  /** Only smaller ids. */
  before?: number | undefined;
  /** Only larger ids. */
  after?: number | undefined;
  /** Whether who asks may see events of a space; undefined stands for events of none. */
  visible?: ((space: string | undefined) => boolean) | undefined;
}

/** A filter made ready to look at many blocks and lines. */
export class Matcher {
  readonly #keys;
  /** Texts that stand in every line that matches: most lines are passed over without being parsed. */
  readonly #needles: string[];

  constructor(readonly filter: AuditFilter) {
    const { space, type, actor } = filter;
    this.#keys = [
      ...(space === undefined ? [] : [spaceKey(space)]),
      ...(type === undefined ? [] : [typeKey(type)]),
      ...(actor === undefined ? [] : [actorKey(actor)]),
    ];
    this.#needles = [
      ...(space === undefined ? [] : [`"space":${JSON.stringify(space)}`]),
      ...(type === undefined ? [] : [`"type":${JSON.stringify(type)}`]),
      ...(actor === undefined ? [] : [`"actor":${JSON.stringify(actor)}`]),
    ];
  }

  /** Whether a block, or a whole segment, reaches into the ids and times asked for. */
  reaches(span: Omit<Block, "offset" | "length">): boolean {
    const { before, after, since, until } = this.filter;
    return (
      (before === undefined || span.firstId < before) &&
      (after === undefined || span.lastId > after) &&
      (since === undefined || span.maxTime >= since.getTime()) &&
      (until === undefined || span.minTime < until.getTime())
    );
  }

  mayHold(index: BlockIndex, at: number): boolean {
    return this.reaches(index.block(at)) && index.mayHold(at, this.#keys);
  }

  /** The event of a line, if it is one that is asked for. */
  match(line: string): AuditEvent | undefined {
    if (!this.#needles.every((needle) => line.includes(needle))) return undefined;
    const event = decodeLine(line);
    return event && this.#matches(event) ? event : undefined;
  }

  #matches(event: AuditEvent): boolean {
    const { space, type, actor, visible } = this.filter;
    if (space !== undefined && event.space !== space) return false;
    if (type !== undefined && event.type !== type) return false;
    if (actor !== undefined && event.actor !== actor) return false;
    if (visible && !visible(event.space)) return false;
    const time = Date.parse(event.ts);
    return this.reaches({ firstId: event.id, lastId: event.id, minTime: time, maxTime: time });
  }
}
