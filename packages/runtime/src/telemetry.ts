import { createNoopMeter, type Meter, SpanStatusCode, TraceFlags, type Tracer } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { PlainDoor } from './plain-door.ts';
import { type FinishedSpan, SpanStore } from './span-store.ts';

/**
 * OpenTelemetry, as little of it as tracing a task needs: it is in the path of every picture.
 *
 * 1. Contexts are passed explicitly; no global provider, no context manager, no instrumentation.
 * 2. A span that is not sampled costs no record. A sampled one becomes plain data when it ends, nothing waits for it.
 * 3. Everything is bounded: finished spans wait in a ring for who ships them, the oldest are dropped and counted.
 */
export interface Telemetry {
  readonly tracer: Tracer;
  /** Does nothing unless `metricsListen` is set. */
  readonly meter: Meter;
  /** Removes up to `max` finished spans, oldest first, for shipping. */
  takeSpans(max: number): FinishedSpan[];
  /** Finished spans that were dropped because nobody took them in time. */
  readonly droppedSpans: number;
  /** The last finished spans of this process; whoever collects others' spans adds them here. */
  readonly spanStore: SpanStore;
  /** Resolves when the metrics port is open (at once without one). @throws Failure UNAVAILABLE when it cannot be. */
  readonly listening: Promise<void>;
  /** Known once `listening` has resolved. */
  readonly prometheusPort?: number | undefined;
  flush(): Promise<void>;
  shutdown(): Promise<void>;
}

export interface TelemetryOptions {
  readonly service: string;
  readonly region: string;
  readonly replica: string;
  /** 0 … 1 of the traces that start here; a caller's decision is kept. */
  readonly sampleRatio: number;
  /** OTLP/HTTP traces endpoint; spans go there in batches, too. */
  readonly otlpUrl?: string | undefined;
  /** host:port for Prometheus; 0 takes a free port. */
  readonly metricsListen?: string | undefined;
  /** Bound of `spanStore`. */
  readonly spansKeptMax?: number;
}

/** Spans of about ten seconds at full load wait for shipping, once a second in practice. */
export const SPANS_WAITING_MAX = 8_192;
/** About 12 MB: the last few thousand tasks of a region. */
const SPANS_KEPT_MAX = 16_384;

export function startTelemetry(options: TelemetryOptions): Telemetry {
  const resource = resourceFromAttributes({
    'service.name': options.service,
    'service.namespace': 'meridian',
    'service.instance.id': options.replica,
    'meridian.region': options.region,
  });
  const spanStore = new SpanStore({ spansMax: options.spansKeptMax ?? SPANS_KEPT_MAX });
  const recorder = new SpanRecorder(options.service, options.region, spanStore);
  const spanProcessors: SpanProcessor[] = [recorder];
  if (options.otlpUrl !== undefined)
    spanProcessors.push(new BatchSpanProcessor(new OTLPTraceExporter({ url: options.otlpUrl })));
  const provider = new BasicTracerProvider({
    resource,
    spanProcessors,
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
  });
  const metrics = options.metricsListen === undefined ? undefined : new MetricsDoor(options.metricsListen);
  const meters = metrics && new MeterProvider({ resource, readers: [metrics.reader] });
  return {
    tracer: provider.getTracer('meridian'),
    meter: meters?.getMeter('meridian') ?? createNoopMeter(),
    takeSpans: (max) => recorder.take(max),
    get droppedSpans() {
      return recorder.dropped;
    },
    spanStore,
    listening: metrics?.listening ?? Promise.resolve(),
    get prometheusPort() {
      return metrics?.port;
    },
    flush: () => provider.forceFlush(),
    shutdown: async () => {
      await Promise.allSettled([provider.shutdown(), meters?.shutdown(), metrics?.close()]);
    },
  };
}

/** Turns ended spans into plain data: into the store, and into the ring of those that wait for shipping. */
class SpanRecorder implements SpanProcessor {
  readonly #service: string;
  readonly #region: string;
  readonly #store: SpanStore;
  readonly #waiting: (FinishedSpan | undefined)[] = new Array(SPANS_WAITING_MAX);
  #taken = 0;
  #added = 0;
  dropped = 0;

  constructor(service: string, region: string, store: SpanStore) {
    this.#service = service;
    this.#region = region;
    this.#store = store;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) return;
    const finished = finish(span, this.#service, this.#region);
    this.#store.add(finished);
    if (this.#added - this.#taken === SPANS_WAITING_MAX) {
      this.#taken++;
      this.dropped++;
    }
    this.#waiting[this.#added % SPANS_WAITING_MAX] = finished;
    this.#added++;
  }

  take(max: number): FinishedSpan[] {
    const spans: FinishedSpan[] = [];
    while (spans.length < max && this.#taken < this.#added) {
      const slot = this.#taken++ % SPANS_WAITING_MAX;
      const span = this.#waiting[slot];
      this.#waiting[slot] = undefined;
      if (span !== undefined) spans.push(span);
    }
    return spans;
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

function finish(span: ReadableSpan, service: string, region: string): FinishedSpan {
  const { traceId, spanId } = span.spanContext();
  const attributes: Record<string, string> = {};
  for (const name in span.attributes) attributes[name] = String(span.attributes[name]);
  const finished: FinishedSpan = {
    traceId,
    spanId,
    parentSpanId: span.parentSpanContext?.spanId ?? '',
    name: span.name,
    service,
    region,
    startMs: span.startTime[0] * 1e3 + span.startTime[1] / 1e6,
    durationMs: span.duration[0] * 1e3 + span.duration[1] / 1e6,
    attributes,
    error: span.status.code === SpanStatusCode.ERROR,
  };
  if (span.links.length === 0) return finished;
  return {
    ...finished,
    links: span.links.map(({ context }) => ({ traceId: context.traceId, spanId: context.spanId })),
  };
}

/** The HTTP server for Prometheus. Our own, because the exporter's cannot take a free port or say which it got. */
class MetricsDoor extends PlainDoor {
  readonly reader: PrometheusExporter;

  constructor(listen: string) {
    const reader = new PrometheusExporter({ preventServerStart: true });
    super(listen, 'metrics', (request, response) => {
      if (request.url === '/metrics') reader.getMetricsRequestHandler(request, response);
      else response.writeHead(404).end();
    });
    this.reader = reader;
  }
}
