import type { Envelope } from '@meridian/contracts';
import { contextFromTraceparent } from '@meridian/runtime';
import { context } from '@opentelemetry/api';

/** Runs with the event's trace as the active one, so that what is sent meanwhile belongs to it. */
export function inTraceOf<R>(envelope: Envelope, run: () => R): R {
  if (envelope.traceparent === undefined) return run();
  return context.with(contextFromTraceparent(envelope.traceparent, envelope.tracestate), run);
}
