import { Metadata } from '@grpc/grpc-js';
import { traceparentOf, tracestateOf } from '@meridian/runtime';
import { CAUSATION_ID, encodeCause, VERSION_VECTOR } from './cause.ts';
import type { CallOptions } from './service-types.ts';

export const TRACEPARENT = 'traceparent';
export const TRACESTATE = 'tracestate';
/** Read by this package; handlers see the rest. */
const OWN = new Set([TRACEPARENT, TRACESTATE, CAUSATION_ID, VERSION_VECTOR, 'user-agent']);

/** Headers of an outgoing call. */
export function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value);
  if (options.cause !== undefined) for (const [name, value] of encodeCause(options.cause)) metadata.set(name, value);
  const traceparent = options.traceContext && traceparentOf(options.traceContext);
  const tracestate = options.traceContext && tracestateOf(options.traceContext);
  if (traceparent !== undefined) metadata.set(TRACEPARENT, traceparent);
  if (tracestate !== undefined) metadata.set(TRACESTATE, tracestate);
  return metadata;
}

/** Text headers of an incoming call; of a name that was sent twice, the first value. Binary ones are left out. */
export function textOf(metadata: Metadata): ReadonlyMap<string, string> {
  const text = new Map<string, string>();
  for (const [name, value] of Object.entries(metadata.getMap())) if (typeof value === 'string') text.set(name, value);
  return text;
}

export function forHandlers(text: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...text].filter(([name]) => !OWN.has(name)));
}
