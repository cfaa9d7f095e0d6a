import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import { attributeNames } from './attribute-names.ts';
import { type FinishedSpan, SpanStore } from './span-store.ts';
import { SPANS_WAITING_MAX, startTelemetry, type Telemetry } from './telemetry.ts';
import { contextFromTraceparent, traceparentOf } from './trace-context.ts';

/** OpenTelemetry takes small numbers for performance.now(). */
const WALL_MS = 2_000_000_000_000;

const started: Telemetry[] = [];
function telemetry(options: { sampleRatio?: number; metricsListen?: string; otlpUrl?: string } = {}): Telemetry {
  const made = startTelemetry({ service: 'scheduler', region: 'beijing', replica: '1', sampleRatio: 1, ...options });
  started.push(made);
  return made;
}
afterEach(async () => {
  for (const made of started.splice(0)) await made.shutdown();
});

describe('spans', () => {
  test('an ended span becomes plain data with its parent, attributes as text, and the error mark', () => {
    const { tracer, takeSpans, spanStore } = telemetry();
    const parent = tracer.startSpan('job', { startTime: WALL_MS });
    const context = trace.setSpan(ROOT_CONTEXT, parent);
    const child = tracer.startSpan('task', { attributes: { [attributeNames.taskId]: 't-1', n: 3 } }, context);
    child.setStatus({ code: SpanStatusCode.ERROR }).end();
    parent.end(WALL_MS + 250);
    const [first, second] = takeSpans(10);
    expect(first).toMatchObject({
      name: 'task',
      service: 'scheduler',
      region: 'beijing',
      parentSpanId: parent.spanContext().spanId,
      attributes: { 'meridian.task.id': 't-1', n: '3' },
      error: true,
    });
    expect(second).toMatchObject({ name: 'job', parentSpanId: '', startMs: WALL_MS, durationMs: 250, error: false });
    expect(takeSpans(10)).toEqual([]);
    expect(spanStore.byTask('t-1')).toEqual([first]);
    expect(spanStore.byTrace(parent.spanContext().traceId)).toHaveLength(2);
  });

  test('what is not sampled leaves no span but keeps its trace, and a sampled caller is followed', () => {
    const { tracer, takeSpans } = telemetry({ sampleRatio: 0 });
    const own = tracer.startSpan('own');
    own.end();
    expect(traceparentOf(trace.setSpan(ROOT_CONTEXT, own))).toMatch(/-00$/);
    tracer.startSpan('called', {}, contextFromTraceparent(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)).end();
    expect(takeSpans(10)).toMatchObject([{ name: 'called', traceId: 'a'.repeat(32), parentSpanId: 'b'.repeat(16) }]);
  });

  test('spans that nobody takes are dropped, oldest first, and counted', () => {
    const made = telemetry();
    for (let i = 0; i < SPANS_WAITING_MAX + 3; i++) made.tracer.startSpan(`s${i}`).end();
    expect(made.droppedSpans).toBe(3);
    expect(made.takeSpans(1)[0]?.name).toBe('s3');
    expect(made.takeSpans(Number.MAX_SAFE_INTEGER)).toHaveLength(SPANS_WAITING_MAX - 1);
  });
});

test('spans also go to an OTLP endpoint in batches, and flush waits for them', async () => {
  const bodies: string[] = [];
  const collector = createServer(async (request, response) => {
    bodies.push(`${request.url} ${await text(request)}`);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((ready) => collector.listen(0, '127.0.0.1', ready));
  try {
    const { port } = collector.address() as AddressInfo;
    const made = telemetry({ otlpUrl: `http://127.0.0.1:${port}/v1/traces` });
    for (const name of ['one', 'two']) made.tracer.startSpan(name).end();
    await made.flush();
    expect(bodies).toHaveLength(1);
    for (const part of ['/v1/traces ', '"one"', '"two"', '"service.name"', '"meridian.region"', '"beijing"'])
      expect(bodies[0]).toContain(part);
    expect(made.takeSpans(10)).toHaveLength(2);
  } finally {
    collector.closeAllConnections();
    await new Promise((closed) => collector.close(closed));
  }
});

describe('trace context', () => {
  test('survives the round trip, with its state', () => {
    const header = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    const context = contextFromTraceparent(header, 'a=1');
    expect(traceparentOf(context)).toBe(header);
    expect(trace.getSpanContext(context)?.traceState?.get('a')).toBe('1');
  });

  test.each([undefined, '', 'junk', `00-${'0'.repeat(32)}-${'2'.repeat(16)}-01`])('%j starts anew', (header) => {
    expect(contextFromTraceparent(header)).toBe(ROOT_CONTEXT);
  });
});

describe('metrics', () => {
  test('are served on the given host and a free port, and the port closes', async () => {
    const made = telemetry({ metricsListen: '127.0.0.1:0' });
    await made.listening;
    made.meter.createCounter('meridian.tasks').add(2, { outcome: 'result' });
    const url = `http://127.0.0.1:${made.prometheusPort}/metrics`;
    const page = await (await fetch(url)).text();
    expect(page).toMatch(/meridian_tasks_total\{.*outcome="result".*\} 2/);
    expect((await fetch(url.replace('metrics', 'other'))).status).toBe(404);
    await made.shutdown();
    await expect(fetch(url)).rejects.toThrow();
  });

  test('a port that is taken is an UNAVAILABLE failure', async () => {
    const first = telemetry({ metricsListen: '127.0.0.1:0' });
    await first.listening;
    const second = telemetry({ metricsListen: `127.0.0.1:${first.prometheusPort}` });
    await expect(second.listening).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('without a port the meter does nothing', () => {
    const made = telemetry();
    made.meter.createHistogram('x').record(1);
    expect(made.prometheusPort).toBeUndefined();
  });
});

describe('SpanStore', () => {
  const span = (n: number): FinishedSpan => ({
    traceId: 'a',
    spanId: String(n),
    parentSpanId: '',
    name: 'n',
    service: 's',
    region: 'r',
    startMs: 100 - n,
    durationMs: 1,
    attributes: { [attributeNames.taskId]: 't' },
    error: false,
  });

  test('keeps the newest, finds by start time, and one that was added twice once', () => {
    const store = new SpanStore({ spansMax: 3 });
    for (const n of [1, 2, 3, 4, 4]) store.add(span(n));
    expect(store.size).toBe(3);
    expect(store.byTask('t').map((found) => found.spanId)).toEqual(['4', '3']);
    expect(store.byTrace('b')).toEqual([]);
  });
});
