import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Span, SpanSchema } from '@meridian/contracts/region';
import type { FinishedSpan } from '@meridian/runtime';

export function spanMessage(span: FinishedSpan): MessageInitShape<typeof SpanSchema> {
  const { traceId, spanId, parentSpanId, name, service, region, startMs, durationMs, attributes, error } = span;
  const common = { traceId, spanId, parentSpanId, name, service, region, error };
  return { ...common, startUnixMs: startMs, durationMs, attributes: { ...attributes } };
}

export function finishedSpan(span: Span): FinishedSpan {
  const { traceId, spanId, parentSpanId, name, service, region, attributes, error } = span;
  const common = { traceId, spanId, parentSpanId, name, service, region, error };
  return { ...common, startMs: span.startUnixMs, durationMs: span.durationMs, attributes };
}
