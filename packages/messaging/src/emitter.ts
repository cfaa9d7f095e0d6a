import type { HybridLogicalClock, Timestamp } from '@meridian/causality';
import { VersionVector } from '@meridian/causality';
import { CAUSES_MAX, type Envelope, type EventType, isEventId, isEventSource, isTenant } from '@meridian/contracts';
import { assert, Failure } from '@meridian/failure';
import { type Clock, traceparentOf, tracestateOf } from '@meridian/runtime';
import { context } from '@opentelemetry/api';
import type { Cause, Outgoing } from './message-bus.ts';

export interface EmitterOptions {
  readonly region: string;
  readonly service: string;
  readonly replica: string;
  /** Random text of this life of the process, so that ids never repeat. */
  readonly incarnation: string;
  readonly clock: Clock;
  readonly hlc: HybridLogicalClock;
  /** What this process has seen of the replicated state. */
  readonly knowledge: () => VersionVector;
}

/**
 * Makes the envelopes of one process.
 *
 * 1. Ids are unique: region, service, incarnation and a counter.
 * 2. Timestamps of the hybrid logical clock rise strictly.
 * 3. The vector is the knowledge of this process joined with the vectors of all causes, even of those whose id does not fit.
 */
export class Emitter {
  readonly region: string;
  readonly #idPrefix: string;
  readonly #source: string;
  readonly #clock: Clock;
  readonly #hlc: HybridLogicalClock;
  readonly #knowledge: () => VersionVector;
  #count = 0;

  constructor(options: EmitterOptions) {
    this.region = options.region;
    this.#idPrefix = `${options.region}.${options.service}.${options.incarnation}.`;
    this.#source = `/${options.region}/${options.service}/${options.replica}`;
    this.#clock = options.clock;
    this.#hlc = options.hlc;
    this.#knowledge = options.knowledge;
    assert(isEventId(`${this.#idPrefix}${Number.MAX_SAFE_INTEGER}`), `an id may start with ${this.#idPrefix}`);
    assert(isEventSource(this.#source), `${this.#source} is a source`);
  }

  /**
   * @throws Failure INVALID_ARGUMENT / TENANT_INVALID; RESOURCE_EXHAUSTED / VECTOR_FULL when the joined vector has more
   * entries than may travel (not retryable: an operator must seal old epochs).
   */
  envelope<T extends EventType>(event: Outgoing<T>): Envelope {
    const tenant = event.tenant ?? 'public';
    if (!isTenant(tenant))
      throw new Failure('INVALID_ARGUMENT', `not a tenant: ${JSON.stringify(tenant.slice(0, 63))}`, {
        reason: 'TENANT_INVALID',
      });
    const causes = event.causes ?? [];
    const traceContext = event.traceContext ?? context.active();
    const traceparent = traceparentOf(traceContext);
    const tracestate = traceparent === undefined ? undefined : tracestateOf(traceContext);
    return {
      id: this.#idPrefix + ++this.#count,
      source: this.#source,
      type: event.type,
      timeMs: this.#clock.nowMs(),
      hlc: this.#hlc.tick(),
      vector: joinedVector(this.#knowledge(), causes),
      causes: causeIds(causes),
      tenant,
      ...(traceparent !== undefined && { traceparent }),
      ...(tracestate !== undefined && { tracestate }),
    };
  }

  /** Takes the timestamp of a received event into account, or says that it is too far ahead. */
  receive(timestamp: Timestamp): 'far-future' | 'received' {
    return this.#hlc.receive(timestamp) === 'far-future' ? 'far-future' : 'received';
  }
}

function joinedVector(knowledge: VersionVector, causes: readonly Cause[]): VersionVector {
  let vector = knowledge;
  // Most causes are covered by what is known already: no new vector for those.
  for (const cause of causes) if (!vector.dominates(cause.vector)) vector = vector.merge(cause.vector);
  if (vector.size > VersionVector.ENTRIES_MAX)
    throw new Failure('RESOURCE_EXHAUSTED', `a vector of ${vector.size} entries cannot travel`, {
      reason: 'VECTOR_FULL',
      retryable: false,
    });
  return vector;
}

function causeIds(causes: readonly Cause[]): readonly string[] {
  if (causes.length === 0) return [];
  const ids = new Set<string>();
  for (const cause of causes) if (ids.size < CAUSES_MAX && isEventId(cause.id)) ids.add(cause.id);
  return Array.from(ids);
}
