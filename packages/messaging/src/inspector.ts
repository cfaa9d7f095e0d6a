import {
  decodeEnvelope,
  type Envelope,
  type EventData,
  type EventType,
  type ParsedSubject,
  parseSubject,
  regionOfSource,
} from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { attributeNames, type Clock, type Logger } from '@meridian/runtime';
import type { Counter, Meter } from '@opentelemetry/api';
import type { Emitter } from './emitter.ts';
import { CORE_MESSAGE_BYTES_MAX, decodeData, messageBytesMax, rowOf } from './event-codec.ts';
import { LogLimiter } from './log-limiter.ts';
import type { Incoming } from './message-bus.ts';

/** A message as it came: nothing of it is trusted. */
export interface RawMessage {
  readonly subject: string;
  /** Value of a header, `''` when missing. */
  readonly header: (name: string) => string;
  readonly data: Uint8Array;
}

export type InvalidReason = 'SUBJECT' | 'SIZE' | 'ENVELOPE' | 'TYPE' | 'SOURCE' | 'DATA' | 'FAR_FUTURE';

/** `unwanted`: valid, of a registered type that the receiver did not ask for. `future`: its clock is too far ahead. */
export type Verdict<T extends EventType> = Incoming<T> | 'invalid' | 'unwanted' | 'future';

/** A stored event whose clock is too far ahead comes again after this long: clocks get repaired, or the drift passes. */
export const FAR_FUTURE_NAK_MS = 5000;

export interface InspectorOptions {
  readonly emitter: Emitter;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly clock: Clock;
}

/**
 * The one gate for everything that comes in. Whatever a message holds, this returns a verdict and never throws.
 * What is not valid is counted by reason and kind of subject, and logged at a bounded rate without its content.
 */
export class Inspector {
  readonly #emitter: Emitter;
  readonly #logger: Logger;
  readonly #invalid: Counter;
  readonly #limiter: LogLimiter;

  constructor(options: InspectorOptions) {
    this.#emitter = options.emitter;
    this.#logger = options.logger;
    this.#limiter = new LogLimiter(options.clock);
    this.#invalid = options.meter.createCounter('meridian.messaging.invalid', {
      description: 'Messages refused on receipt, by reason and kind of subject',
    });
  }

  /** @param stored the region's own stream holds it: a far-future clock is reported but costs no record */
  inspect<T extends EventType>(raw: RawMessage, wanted: ReadonlySet<T>, stored = false): Verdict<T> {
    const parsed = parseSubject(raw.subject);
    try {
      if (parsed === undefined) throw invalid('SUBJECT', 'no such subject');
      checkSize(raw.data, messageBytesMax(parsed.kind));
      const envelope = decodeEnvelope(raw.header);
      checkOrigin(envelope, parsed);
      if (!rowOf(parsed.kind).types.includes(envelope.type))
        throw invalid('TYPE', `${envelope.type} is not sent on this subject`);
      if (!isWanted(envelope.type, wanted)) return 'unwanted';
      const message = decoded(raw, envelope, envelope.type);
      if (this.#emitter.receive(envelope.hlc) === 'received') return message;
      this.#report('FAR_FUTURE', parsed.kind, raw.subject, envelope.source);
      return stored ? message : 'future';
    } catch (thrown) {
      this.#reportThrown(thrown, parsed?.kind ?? 'unknown', raw.subject);
      return 'invalid';
    }
  }

  /** An answer to a request that was sent on `requestSubject`: it must come from the region that was asked. */
  inspectReply<R extends EventType>(raw: RawMessage, requestSubject: string, replyType: R): Incoming<R> | 'invalid' {
    const parsed = parseSubject(requestSubject);
    try {
      checkSize(raw.data, CORE_MESSAGE_BYTES_MAX);
      const envelope = decodeEnvelope(raw.header);
      const target = parsed?.parts.target;
      if (target !== undefined && regionOfSource(envelope.source) !== target)
        throw invalid('SOURCE', `answered by ${envelope.source}`);
      if (envelope.type !== replyType) throw invalid('TYPE', `answered with ${envelope.type}`);
      const message = decoded(raw, envelope, replyType);
      if (this.#emitter.receive(envelope.hlc) === 'far-future') throw invalid('FAR_FUTURE', 'clock too far ahead');
      return message;
    } catch (thrown) {
      this.#reportThrown(thrown, parsed?.kind ?? 'unknown', requestSubject);
      return 'invalid';
    }
  }

  #reportThrown(thrown: unknown, kind: string, subject: string): void {
    const failure = Failure.from(thrown);
    const reason = failure.reason === 'ENVELOPE_INVALID' ? 'ENVELOPE' : (failure.details.invalid ?? 'ENVELOPE');
    this.#report(reason, kind, subject, failure.message);
  }

  #report(reason: string, kind: string, subject: string, detail: string): void {
    this.#invalid.add(1, { [attributeNames.reason]: reason, [attributeNames.subject]: kind });
    const admitted = this.#limiter.admit(`${reason} ${kind}`);
    if (admitted === undefined) return;
    // Subject and detail hold text from outside: bounded, and quoted by the JSON log.
    this.#logger.warn(
      { reason, subject: subject.slice(0, 200), detail: detail.slice(0, 300), suppressed: admitted.suppressed },
      'message refused',
    );
  }
}

export function wantedTypes<T extends EventType>(type: T | readonly T[]): ReadonlySet<T> {
  return new Set(typeof type === 'string' ? [type] : type);
}

function isWanted<T extends EventType>(type: EventType, wanted: ReadonlySet<T>): type is T {
  return (wanted as ReadonlySet<EventType>).has(type);
}

function checkSize(data: Uint8Array, bytesMax: number): void {
  if (data.length > bytesMax) throw invalid('SIZE', `${data.length} bytes, at most ${bytesMax} are taken`);
}

/** Subjects that name their origin are believed only from that region. */
function checkOrigin(envelope: Envelope, parsed: ParsedSubject): void {
  const origin = parsed.parts.origin;
  if (origin !== undefined && regionOfSource(envelope.source) !== origin)
    throw invalid('SOURCE', `${envelope.source} on a subject of ${origin}`);
}

function decoded<T extends EventType>(raw: RawMessage, envelope: Envelope, type: T): Incoming<T> {
  let data: EventData<T>;
  try {
    data = decodeData(type, raw.data);
  } catch (thrown) {
    throw invalid('DATA', `not a ${type}: ${thrown instanceof Error ? thrown.message : 'undecodable'}`);
  }
  return { subject: raw.subject, type, envelope, data };
}

function invalid(reason: InvalidReason, message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { details: { invalid: reason } });
}
