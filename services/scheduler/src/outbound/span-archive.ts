import type { MessageInitShape } from '@bufbuild/protobuf';
import { regionOfSource, subject } from '@meridian/contracts';
import type { GetTraceRequest, GetTraceRequestSchema, SpanSchema } from '@meridian/contracts/region';
import type { MessageBus, Subscription } from '@meridian/messaging';
import { attributeNames, type Component, type FinishedSpan, type SpanStore } from '@meridian/runtime';
import { finishedSpan, spanMessage } from '../codec/span.ts';

export interface SpanArchiveOptions {
  readonly bus: MessageBus;
  readonly region: string;
  readonly peers: readonly string[];
  readonly store: SpanStore;
  /** Whether the tenant's residency rule allows the region to hear of its tasks. */
  readonly mayTell: (tenant: string, region: string) => boolean;
}

export interface FoundTrace {
  readonly spans: MessageInitShape<typeof SpanSchema>[];
  readonly unreachableRegions: string[];
}

/** A region that is asked for its spans has this long. */
const QUERY_TIMEOUT_MS = 1000;
/** Spans of one answer: an answer must fit a message, and nobody reads more. */
const SPANS_MAX = 1000;

/** Recent spans of the region, its own and those that its services send, for whoever in any region asks and may know. */
export class SpanArchive implements Component {
  readonly name = 'span archive';
  readonly #options: SpanArchiveOptions;
  readonly #subscriptions: Subscription[] = [];

  constructor(options: SpanArchiveOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    const { bus, region, store } = this.#options;
    this.#subscriptions.push(
      bus.subscribe(subject('spans', { origin: region }), 'meridian.trace.spans.v1', ({ data }) => {
        for (const span of data.spans) store.add(finishedSpan(span));
      }),
      bus.serve(subject('traceQuery', { target: region }), 'meridian.trace.query.v1', async ({ data, envelope }) => ({
        type: 'meridian.trace.found.v1',
        data: { spans: this.#tellable(data.key, regionOfSource(envelope.source)), unreachableRegions: [] },
        causes: [envelope],
      })),
    );
    return Promise.resolve();
  }

  stop(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    return Promise.resolve();
  }

  /** From every region that answers in time. */
  async find(key: GetTraceRequest['key']): Promise<FoundTrace> {
    const { peers } = this.#options;
    const found = new Map<string, MessageInitShape<typeof SpanSchema>>();
    const add = (spans: readonly MessageInitShape<typeof SpanSchema>[]): void => {
      for (const span of spans) if (found.size < SPANS_MAX) found.set(`${span.traceId}${span.spanId}`, span);
    };
    const unreachableRegions: string[] = [];
    const asked = peers.map((peer) =>
      this.#ask(peer, key).then(add, () => {
        unreachableRegions.push(peer);
      }),
    );
    add(this.#local(key));
    await Promise.all(asked);
    const spans = [...found.values()].sort((a, b) => (a.startUnixMs ?? 0) - (b.startUnixMs ?? 0));
    return { spans, unreachableRegions: unreachableRegions.sort() };
  }

  async #ask(peer: string, key: GetTraceRequest['key']) {
    const data: MessageInitShape<typeof GetTraceRequestSchema> = { key };
    const event = { type: 'meridian.trace.query.v1' as const, data };
    const options = { timeoutMs: QUERY_TIMEOUT_MS };
    const answer = await this.#options.bus.request(
      subject('traceQuery', { target: peer }),
      event,
      'meridian.trace.found.v1',
      options,
    );
    return answer.data.spans;
  }

  /** Nothing of a trace in which a task is that the asking region may not hear of. */
  #tellable(key: GetTraceRequest['key'], region: string): MessageInitShape<typeof SpanSchema>[] {
    const spans = this.#local(key);
    const isOpen = (tenant: string | undefined) => tenant === undefined || this.#options.mayTell(tenant, region);
    const closed = new Set(
      spans.filter(({ attributes }) => !isOpen(attributes?.[attributeNames.tenant])).map(({ traceId }) => traceId),
    );
    return spans.filter(({ traceId }) => !closed.has(traceId));
  }

  /** A task's spans, and those of the same traces that do not name the task. */
  #local(key: GetTraceRequest['key']): MessageInitShape<typeof SpanSchema>[] {
    const { store } = this.#options;
    const named =
      key.case === 'taskId' ? store.byTask(key.value) : key.case === 'traceId' ? store.byTrace(key.value) : [];
    const found = new Map<string, FinishedSpan>();
    for (const traceId of new Set(named.map((span) => span.traceId)))
      for (const span of store.byTrace(traceId)) found.set(span.spanId, span);
    return [...found.values()].slice(0, SPANS_MAX).map(spanMessage);
  }
}
