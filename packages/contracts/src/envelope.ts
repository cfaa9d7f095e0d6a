import { formatTimestamp, parseTimestamp, type Timestamp, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { type EventType, isEventType } from './event-types.ts';

/**
 * The envelope of every message: CloudEvents 1.0, NATS binding, binary mode (attributes as `ce-*` headers,
 * percent-encoded; the protobuf data is the payload), and W3C trace context beside it.
 */
export interface Envelope {
  /** Unique with `source`; here unique by itself. 1 … 128 characters, no comma. */
  readonly id: string;
  /** `/<region>/<service>/<replica>`. */
  readonly source: string;
  readonly type: EventType;
  /** Wall time of the emitter; for people. */
  readonly timeMs: number;
  readonly hlc: Timestamp;
  /** What the emitter had seen of the replicated state, joined with the vectors of the causes. */
  readonly vector: VersionVector;
  /** Ids of the events that caused this one, at most 16. */
  readonly causes: readonly string[];
  readonly tenant: string;
  readonly traceparent?: string;
  readonly tracestate?: string;
  /** Reserved for the security work; carried, not checked. */
  readonly signature?: string;
}

export const CAUSES_MAX = 16;
const HEADER_CHARS_MAX = 8 * 1024;
const ID = /^[A-Za-z0-9_.:#/@-]{1,128}$/;
const SOURCE = /^\/[a-z0-9-]{1,63}\/[a-z0-9-]{1,63}\/[A-Za-z0-9_-]{1,63}$/;
const TENANT = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Whether the text may be an event's id. */
export function isEventId(text: string): boolean {
  return ID.test(text);
}

/** Whether the text may be an event's source: `/<region>/<service>/<replica>`. */
export function isEventSource(text: string): boolean {
  return SOURCE.test(text);
}

export function isTenant(text: string): boolean {
  return TENANT.test(text);
}

/** The region part of a source that `isEventSource` accepts. */
export function regionOfSource(source: string): string {
  return source.slice(1, source.indexOf('/', 1));
}

/** Headers as the transport's adapter wants them: name and value, in a fixed order. */
export function encodeEnvelope(envelope: Envelope): [name: string, value: string][] {
  const headers: [string, string][] = [
    ['ce-specversion', '1.0'],
    ['ce-id', envelope.id],
    ['ce-source', envelope.source],
    ['ce-type', envelope.type],
    ['ce-time', new Date(envelope.timeMs).toISOString()],
    ['ce-datacontenttype', 'application/protobuf'],
    ['ce-hlc', formatTimestamp(envelope.hlc)],
    ['ce-versionvector', envelope.vector.toString()],
    ['ce-tenant', envelope.tenant],
  ];
  if (envelope.causes.length > 0) headers.push(['ce-causationid', envelope.causes.slice(0, CAUSES_MAX).join(',')]);
  if (envelope.signature !== undefined) headers.push(['ce-signature', envelope.signature]);
  if (envelope.traceparent !== undefined) headers.push(['traceparent', envelope.traceparent]);
  if (envelope.tracestate !== undefined) headers.push(['tracestate', envelope.tracestate]);
  return headers;
}

/**
 * Reads and checks an envelope; `header` gives the value of a name, or `''`.
 * @throws Failure INVALID_ARGUMENT / ENVELOPE_INVALID naming the header that is wrong. Not retryable.
 */
export function decodeEnvelope(header: (name: string) => string): Envelope {
  if (header('ce-specversion') !== '1.0') throw invalid('ce-specversion', 'expected 1.0');
  const type = read(header, 'ce-type', (text) => (isEventType(text) ? text : undefined));
  const timeMs = read(header, 'ce-time', (text) => (text.length > 40 ? undefined : finite(Date.parse(text))));
  if (header('ce-datacontenttype') !== 'application/protobuf')
    throw invalid('ce-datacontenttype', 'expected application/protobuf');
  const optional = {
    traceparent: header('traceparent'),
    tracestate: header('tracestate'),
    signature: header('ce-signature'),
  };
  return {
    id: read(header, 'ce-id', matching(ID)),
    source: read(header, 'ce-source', matching(SOURCE)),
    type,
    timeMs,
    hlc: read(header, 'ce-hlc', parseTimestamp),
    vector: read(header, 'ce-versionvector', VersionVector.parse),
    causes: read(header, 'ce-causationid', parseCauses),
    tenant: read(header, 'ce-tenant', matching(TENANT)),
    // A broken trace context never costs a message: W3C asks to start a new trace.
    ...(TRACEPARENT.test(optional.traceparent) && { traceparent: optional.traceparent }),
    ...(optional.tracestate !== '' && optional.tracestate.length <= 512 && { tracestate: optional.tracestate }),
    ...(optional.signature !== '' &&
      optional.signature.length <= HEADER_CHARS_MAX && { signature: optional.signature }),
  };
}

function read<T>(header: (name: string) => string, name: string, parse: (text: string) => T | undefined): T {
  const text = header(name);
  const value = text.length > HEADER_CHARS_MAX ? undefined : parse(text);
  if (value === undefined)
    throw invalid(name, text === '' ? 'missing' : `not valid: ${JSON.stringify(text.slice(0, 60))}`);
  return value;
}

function parseCauses(text: string): readonly string[] | undefined {
  if (text === '') return [];
  const ids = text.split(',', CAUSES_MAX + 1);
  return ids.length <= CAUSES_MAX && ids.every((id) => ID.test(id)) ? ids : undefined;
}

function matching(pattern: RegExp): (text: string) => string | undefined {
  return (text) => (pattern.test(text) ? text : undefined);
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

function invalid(name: string, problem: string): Failure {
  return new Failure('INVALID_ARGUMENT', `header ${name}: ${problem}`, { reason: 'ENVELOPE_INVALID' });
}
