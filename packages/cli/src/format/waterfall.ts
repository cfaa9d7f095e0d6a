import type { Span } from '@meridian/contracts/region';
import { attributeNames } from '@meridian/runtime';
import { formatMs } from './quantity.ts';
import { formatTable } from './table.ts';

const BAR_WIDTH = 40;
/** All requests of one RecognizeStream share a trace; `--json` has all spans that came. */
const SPANS_SHOWN_MAX = 200;

/**
 * The spans of a task as a waterfall: children below their parents, by start; the bar shows when and how long.
 * Spans of other regions carry the clocks of their machines: their bars are as right as those.
 */
export function formatWaterfall(spans: readonly Span[]): string {
  if (spans.length === 0) return 'no spans';
  const drawn = spans.flatMap((span) => [span, ...partsOf(span)]);
  const startMs = Math.min(...spans.map((span) => span.startUnixMs));
  const endMs = Math.max(...spans.map((span) => span.startUnixMs + span.durationMs));
  const ordered = inTreeOrder(drawn);
  const rows = ordered
    .slice(0, SPANS_SHOWN_MAX)
    .map(({ span, depth }) => [
      span.service,
      span.region,
      `${'  '.repeat(depth)}${span.name}`,
      bar(span.startUnixMs - startMs, span.durationMs, endMs - startMs, span.error),
      formatMs(span.durationMs),
      remarkOf(span),
    ]);
  const table = formatTable(['service', 'region', 'span', `0 … ${formatMs(endMs - startMs)}`, 'time', ''], rows);
  const more = ordered.length - SPANS_SHOWN_MAX;
  return more > 0 ? `${table}\n… and ${more} more spans` : table;
}

/** What a worker's span says of its parts, which follow each other up to its end, drawn as spans below it. */
function partsOf(span: Span): Span[] {
  const { fetchMs, waitMs, decodeMs, inferenceMs } = attributeNames;
  if (span.attributes[fetchMs] === undefined) return [];
  const names = { inference: inferenceMs, decode: decodeMs, wait: waitMs, fetch: fetchMs };
  const parts: Span[] = [];
  let endUnixMs = span.startUnixMs + span.durationMs;
  for (const [name, attribute] of Object.entries(names)) {
    const durationMs = Number(span.attributes[attribute] ?? 0);
    endUnixMs -= durationMs;
    if (durationMs > 0)
      parts.push({
        ...span,
        name: `${span.name}: ${name}`,
        spanId: `${span.spanId} ${name}`,
        parentSpanId: span.spanId,
        startUnixMs: endUnixMs,
        durationMs,
        attributes: {},
        error: false,
      });
  }
  return parts;
}

interface Placed {
  readonly span: Span;
  readonly depth: number;
}

/** Parents before children, siblings by start. A span whose parent is not among them is a root; a cycle cannot loop. */
function inTreeOrder(spans: readonly Span[]): readonly Placed[] {
  const ids = new Set(spans.map((span) => span.spanId));
  const children = Map.groupBy(spans, (span) => (ids.has(span.parentSpanId) ? span.parentSpanId : ''));
  const placed: Placed[] = [];
  const seen = new Set<Span>();
  const place = (siblings: readonly Span[], depth: number) => {
    for (const span of siblings.toSorted((a, b) => a.startUnixMs - b.startUnixMs)) {
      if (seen.has(span)) continue;
      seen.add(span);
      placed.push({ span, depth });
      place(children.get(span.spanId) ?? [], depth + 1);
    }
  };
  place(children.get('') ?? [], 0);
  place(spans, 0);
  return placed;
}

function bar(offsetMs: number, durationMs: number, totalMs: number, error: boolean): string {
  const cells = totalMs > 0 ? BAR_WIDTH / totalMs : 0;
  const from = Math.min(Math.floor(offsetMs * cells), BAR_WIDTH - 1);
  const length = Math.max(1, Math.min(Math.round(durationMs * cells), BAR_WIDTH - from));
  return `${' '.repeat(from)}${(error ? '▒' : '█').repeat(length)}`;
}

function remarkOf(span: Span): string {
  const { attempt, reason, worker, targetRegion } = attributeNames;
  const given = span.attributes;
  const parts = [
    given[attempt] === undefined ? '' : `attempt ${given[attempt]}`,
    given[targetRegion] === undefined ? '' : `→ ${given[targetRegion]}`,
    given[worker] === undefined ? '' : `on ${given[worker]}`,
    given[reason] === undefined ? '' : `(${given[reason]})`,
    span.error ? 'failed' : '',
  ];
  return parts.filter((part) => part !== '').join(' ');
}
