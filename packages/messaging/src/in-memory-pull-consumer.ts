import type { Envelope, EventData, EventType } from '@meridian/contracts';
import { assert, type Failure } from '@meridian/failure';
import type { Clock } from '@meridian/runtime';
import { disconnected } from './ask-failures.ts';
import type { InMemoryConsumer, Taker } from './in-memory-consumer.ts';
import type { StoredEntry } from './in-memory-stream.ts';
import { FAR_FUTURE_NAK_MS, type Inspector } from './inspector.ts';
import { type Delivery, FETCH_MAX, type Incoming, type PullConsumer } from './message-bus.ts';
import { storedMessage } from './stored-message.ts';

export interface InMemoryPullConsumerOptions<T extends EventType> {
  readonly consumer: InMemoryConsumer;
  readonly inspector: Inspector;
  readonly clock: Clock;
  readonly wanted: ReadonlySet<T>;
  readonly isConnected: () => boolean;
  readonly onLost: (listener: () => void) => () => void;
}

export class InMemoryPullConsumer<T extends EventType> implements PullConsumer<T> {
  readonly #options: InMemoryPullConsumerOptions<T>;

  constructor(options: InMemoryPullConsumerOptions<T>) {
    this.#options = options;
  }

  async *fetch(max: number, expiresMs: number, signal?: AbortSignal): AsyncGenerator<Delivery<T>, void, undefined> {
    assert(Number.isInteger(max) && max > 0 && max <= FETCH_MAX, `a fetch is of 1 to ${FETCH_MAX} messages`);
    if (signal?.aborted) return;
    const { consumer, clock, isConnected, onLost } = this.#options;
    if (!isConnected()) throw disconnected();
    const pull = new Pull(max);
    const timer = clock.setTimer(expiresMs, () => pull.end());
    const unlisten = onLost(() => pull.end(disconnected()));
    const onAbort = (): void => pull.end();
    signal?.addEventListener('abort', onAbort, { once: true });
    consumer.add(pull);
    if (expiresMs === 0) pull.end();
    try {
      while (signal?.aborted !== true) {
        const next = pull.next();
        if (next !== undefined) {
          const delivery = this.#accept(next.entry, next.deliveryCount);
          if (delivery !== undefined) yield delivery;
        } else if (pull.ended) break;
        else await pull.changed();
      }
      if (pull.failure !== undefined) throw pull.failure;
    } finally {
      consumer.remove(pull);
      timer.cancel();
      unlisten();
      signal?.removeEventListener('abort', onAbort);
      for (let left = pull.next(); left !== undefined; left = pull.next()) consumer.nak(left.entry.sequence, 0);
    }
  }

  async pending(): Promise<{ waiting: number; unacked: number }> {
    return this.#options.consumer.pending;
  }

  #accept(entry: StoredEntry, deliveryCount: number): Delivery<T> | undefined {
    const { consumer, inspector, wanted } = this.#options;
    const verdict = inspector.inspect(storedMessage(entry), wanted);
    if (typeof verdict !== 'string') return new InMemoryDelivery(verdict, entry.sequence, deliveryCount, this.#options);
    if (verdict === 'future') consumer.nak(entry.sequence, FAR_FUTURE_NAK_MS);
    else consumer.settle(entry.sequence);
    return undefined;
  }
}

/** What one fetch has been given and not handed out yet. */
class Pull implements Taker {
  readonly #max: number;
  readonly #queue: { readonly entry: StoredEntry; readonly deliveryCount: number }[] = [];
  #taken = 0;
  #ended = false;
  #failure: Failure | undefined;
  #wake: (() => void) | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  get ended(): boolean {
    return this.#ended || this.#queue.length >= this.#max;
  }

  get failure(): Failure | undefined {
    return this.#failure;
  }

  wants(): number {
    return this.#ended ? 0 : this.#max - this.#queue.length;
  }

  take(entry: StoredEntry, deliveryCount: number): void {
    this.#queue.push({ entry, deliveryCount });
    this.#wakeReader();
  }

  next(): { readonly entry: StoredEntry; readonly deliveryCount: number } | undefined {
    return this.#queue[this.#taken] && this.#queue[this.#taken++];
  }

  end(failure?: Failure): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#wakeReader();
  }

  async changed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeReader(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

class InMemoryDelivery<T extends EventType> implements Delivery<T> {
  readonly subject: string;
  readonly type: T;
  readonly envelope: Envelope;
  readonly data: EventData<T>;
  readonly sequence: number;
  readonly deliveryCount: number;
  readonly #options: InMemoryPullConsumerOptions<T>;
  #settled = false;

  constructor(message: Incoming<T>, sequence: number, deliveryCount: number, options: InMemoryPullConsumerOptions<T>) {
    this.subject = message.subject;
    this.type = message.type;
    this.envelope = message.envelope;
    this.data = message.data;
    this.sequence = sequence;
    this.deliveryCount = deliveryCount;
    this.#options = options;
  }

  ack(): void {
    this.#settle(() => this.#options.consumer.settle(this.sequence));
  }

  nak(delayMs: number): void {
    this.#settle(() => this.#options.consumer.nak(this.sequence, delayMs));
  }

  term(_reason: string): void {
    this.ack();
  }

  working(): void {
    if (!this.#settled && this.#options.isConnected()) this.#options.consumer.working(this.sequence);
  }

  /** Like the real one: lost without a connection. */
  #settle(act: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.#options.isConnected()) act();
  }
}
