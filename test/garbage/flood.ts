import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { Emitter, Inspector } from '@meridian/messaging';
import { createLogger, seededRandom, systemClock } from '@meridian/runtime';
import { createNoopMeter, type Meter } from '@opentelemetry/api';
import { Mutator, type WireMessage } from './mutation.ts';
import { goodMessages, SYNC_KINDS, type SyncKind } from './sync-messages.ts';

/** What became of a message on its way to the state: refused at the gate, refused by the codec, or good all the same. */
export type Fate = 'gate' | 'codec' | 'valid';

/** The way of a message into a sync service as far as it has no effect: envelope, protobuf, codec. */
export class Gate {
  readonly #inspector: Inspector;

  /** @param aheadMs of its clock: what is from the future now may be valid when it is looked at */
  constructor(meter: Meter = createNoopMeter(), aheadMs = 0) {
    const logger = createLogger({ name: 'garbage', region: 'beijing', level: 'silent' });
    const emitter = new Emitter({
      ...{ region: 'beijing', service: 'sync', replica: '1', incarnation: 'i1', clock: systemClock },
      hlc: new HybridLogicalClock(() => systemClock.nowMs() + aheadMs, { driftMaxMs: 1_000 }),
      knowledge: () => VersionVector.EMPTY,
    });
    this.#inspector = new Inspector({ emitter, logger, meter, clock: systemClock });
  }

  /** @throws whatever is not a refusal: that is a crash of the service */
  fateOf(kind: SyncKind, { subject, headers, data }: WireMessage): Fate {
    const values = new Map(headers);
    const raw = { subject, data, header: (name: string) => values.get(name) ?? '' };
    const message = kind.isAnswer
      ? this.#inspector.inspectReply(raw, kind.subject, kind.type)
      : this.#inspector.inspect(raw, new Set([kind.type]));
    if (typeof message === 'string') return 'gate';
    try {
      kind.decode(message.data);
      return 'valid';
    } catch (thrown) {
      if (thrown instanceof Failure && thrown.code === 'INVALID_ARGUMENT') return 'codec';
      throw thrown;
    }
  }
}

/** Garbage without end: of every kind in turn. */
export function* garbage(seed: number): Generator<{ readonly kind: SyncKind; readonly message: WireMessage }, never> {
  const random = seededRandom(seed);
  const mutator = new Mutator(random);
  const good = SYNC_KINDS.map((kind) => ({ kind, messages: goodMessages(kind) }));
  const all = good.flatMap(({ messages }) => messages);
  const any = <T>(from: readonly T[]): T => from[random.int(from.length)] as T;
  for (;;) for (const { kind, messages } of good) yield { kind, message: mutator.mutate(any(messages), any(all)) };
}

export interface Flood {
  readonly counts: Readonly<Record<string, Readonly<Record<Fate, number>>>>;
  /** What was thrown that is no refusal, with the number of its message; empty when all is well. */
  readonly crashes: readonly string[];
}

const CRASHES_SHOWN = 10;

/** Sends so many mutated messages through the gate, in memory. */
export function flood(seed: number, count: number, gate = new Gate()): Flood {
  const counts: Record<string, Record<Fate, number>> = {};
  const crashes: string[] = [];
  let number = 0;
  for (const { kind, message } of garbage(seed)) {
    if (number === count || crashes.length === CRASHES_SHOWN) break;
    number += 1;
    counts[kind.type] ??= { gate: 0, codec: 0, valid: 0 };
    const of = counts[kind.type] as Record<Fate, number>;
    try {
      of[gate.fateOf(kind, message)] += 1;
    } catch (thrown) {
      const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      crashes.push(`message ${number} of seed ${seed}, ${kind.type}: ${text}`);
    }
  }
  return { counts, crashes };
}
