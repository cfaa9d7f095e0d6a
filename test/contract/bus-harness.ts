import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type ActorId, actorId, HybridLogicalClock, VersionVector } from '@meridian/causality';
import {
  decodeEnvelope,
  EVENT_TYPES,
  type EventType,
  encodeEnvelope,
  STREAMS,
  type StreamRow,
} from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { Emitter, type MessageBus } from '@meridian/messaging';
import { createLogger, type Logger, systemClock } from '@meridian/runtime';
import { type Attributes, createNoopMeter, type Meter } from '@opentelemetry/api';

export const REGION = 'beijing';
export const OTHER_REGION = 'shanghai';

export type BusRole = 'scheduler' | 'worker' | 'sync' | 'consumer';

export interface RawEvent {
  readonly subject: string;
  readonly headers: [name: string, value: string][];
  readonly data: Uint8Array;
}

/** What the contract needs of an implementation: buses of one region on one broker. */
export interface BusHarness {
  open(role: BusRole): Promise<{ readonly bus: MessageBus; readonly records: Records }>;
  /** Sends as a client that keeps no rule. */
  inject(event: RawEvent): Promise<void>;
  /** Takes the broker away, and brings it back with what its streams held. */
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

/** What a bus counted. */
export class Records {
  readonly counts = new Map<string, number>();
  readonly meter: Meter = Object.assign(createNoopMeter(), {
    createCounter: (name: string) => ({
      add: (value: number, attributes?: Attributes) => this.#add(name, value, attributes),
    }),
  });

  /** Sum of a counter, of one reason when given. */
  count(name: string, reason?: string): number {
    let sum = 0;
    for (const [key, value] of this.counts)
      if (key.startsWith(`${name} `) && (reason === undefined || key === `${name} ${reason}`)) sum += value;
    return sum;
  }

  #add(name: string, value: number, attributes: Attributes = {}): void {
    const key = `${name} ${String(attributes['meridian.reason'])}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + value);
  }
}

/** The table, with a state stream that is soon full. */
export const SMALL_STREAM_BYTES = 64 * 1024;
export const TEST_STREAMS: readonly StreamRow[] = STREAMS.map((row) =>
  row.name === 'STATE' ? { ...row, bytesMax: SMALL_STREAM_BYTES } : row,
);

export const ACTOR: ActorId = actorId(REGION, 0x1234n);
export const KNOWLEDGE = VersionVector.of([[ACTOR, 7]]);

let incarnations = 0;

export function testEmitter(role: string, region = REGION, nowMs = () => Date.now()): Emitter {
  return new Emitter({
    region,
    service: role,
    replica: '1',
    incarnation: `i${++incarnations}`,
    clock: systemClock,
    hlc: new HybridLogicalClock(nowMs, { driftMaxMs: 1000 }),
    knowledge: () => KNOWLEDGE,
  });
}

export const testLogger: Logger = createLogger({ name: 'contract', region: REGION, level: 'silent' });

/** A valid event of another sender. */
export function rawEvent<T extends EventType>(
  subject: string,
  type: T,
  data: MessageInitShape<(typeof EVENT_TYPES)[T]>,
  emitter = testEmitter('stranger'),
): RawEvent {
  const schema = EVENT_TYPES[type];
  const headers = encodeEnvelope(emitter.envelope({ type, data }));
  return { subject, headers, data: toBinary(schema, create(schema, data)) };
}

export function isDecodable(event: RawEvent): boolean {
  try {
    decodeEnvelope((name) => event.headers.find(([key]) => key === name)?.[1] ?? '');
    return true;
  } catch {
    return false;
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The Failure that a promise rejects with. */
export async function failed(promise: Promise<unknown>): Promise<Failure> {
  const thrown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(thrown instanceof Failure)) throw new Error(`expected a Failure, got ${String(thrown)}`);
  return thrown;
}

/** Waits for a condition, not for a time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
