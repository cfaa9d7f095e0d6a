import { assert } from '@meridian/failure';
import { attributeNames } from './attribute-names.ts';

/** A span that has ended, as plain data: what travels between processes and what `meridian trace` draws. */
export interface FinishedSpan {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** `''` for a root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly service: string;
  readonly region: string;
  /** Wall time of the emitter. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly error: boolean;
  /** Causes that are not the parent, e.g. the claims of a batch. Absent when there are none. */
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
}

/**
 * The last spans of a process or region.
 *
 * 1. Holds at most `spansMax`; the oldest makes room for the newest.
 * 2. Adding costs one array write: it is in the path of every task. Looking up scans everything: people ask rarely.
 * 3. A span that was added twice is found once.
 */
export class SpanStore {
  readonly #spansMax: number;
  readonly #ring: FinishedSpan[] = [];
  #next = 0;

  constructor(options: { spansMax: number }) {
    assert(options.spansMax > 0, 'a span store holds at least one span');
    this.#spansMax = options.spansMax;
  }

  add(span: FinishedSpan): void {
    this.#ring[this.#next] = span;
    this.#next = (this.#next + 1) % this.#spansMax;
  }

  get size(): number {
    return this.#ring.length;
  }

  /** By start time. */
  byTrace(traceId: string): FinishedSpan[] {
    return this.#find((span) => span.traceId === traceId);
  }

  /** Spans that name the task in attribute `meridian.task.id`, by start time. */
  byTask(taskId: string): FinishedSpan[] {
    return this.#find((span) => span.attributes[attributeNames.taskId] === taskId);
  }

  #find(matches: (span: FinishedSpan) => boolean): FinishedSpan[] {
    const found = new Map<string, FinishedSpan>();
    for (const span of this.#ring) if (matches(span)) found.set(`${span.traceId}${span.spanId}`, span);
    return [...found.values()].sort((a, b) => a.startMs - b.startMs);
  }
}
