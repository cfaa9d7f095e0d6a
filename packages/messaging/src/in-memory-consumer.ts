import { Failure } from '@meridian/failure';
import type { Clock, Timer } from '@meridian/runtime';
import type { InMemoryStream, StoredEntry } from './in-memory-stream.ts';
import type { ConsumerSettings } from './message-bus.ts';
import { subjectMatches } from './subject-match.ts';

/** One that waits for deliveries. */
export interface Taker {
  /** How many more it takes. */
  wants(): number;
  take(entry: StoredEntry, deliveryCount: number): void;
  /** The consumer is gone. */
  end(failure: Failure): void;
}

interface Unsettled {
  readonly entry: StoredEntry;
  count: number;
  /** Ack wait while delivered, delay after a nak; undefined when it is ready to be delivered again. */
  timer: Timer | undefined;
  delivered: boolean;
}

/**
 * A durable pull consumer of an in-memory stream: ack wait, redelivery, limits of deliveries and of unacked ones.
 *
 * 1. Entries up to `#position` have been delivered at least once; those not settled yet are in `#unsettled`.
 * 2. At most `maxAckPending` are delivered and not settled.
 */
export class InMemoryConsumer {
  readonly #stream: InMemoryStream;
  readonly #clock: Clock;
  readonly #unsettled = new Map<number, Unsettled>();
  readonly #takers = new Set<Taker>();
  #options: ConsumerSettings;
  #position = 0;
  #deleted = false;

  constructor(stream: InMemoryStream, options: ConsumerSettings, clock: Clock) {
    this.#stream = stream;
    this.#options = options;
    this.#clock = clock;
    stream.onAppend((entry) => {
      if (subjectMatches(this.#options.filter, entry.subject)) this.#deliver();
    });
  }

  get filter(): string {
    return this.#options.filter;
  }

  reconfigure(options: ConsumerSettings): void {
    this.#options = options;
  }

  /**
   * The taker gets what there is at once, and what comes until it is removed.
   * @throws Failure NOT_FOUND / CONSUMER_MISSING after `delete`
   */
  add(taker: Taker): void {
    if (this.#deleted) throw missing();
    this.#takers.add(taker);
    this.#deliver();
  }

  remove(taker: Taker): void {
    this.#takers.delete(taker);
  }

  get pending(): { waiting: number; unacked: number } {
    return { waiting: this.#stream.countAfter(this.#position, this.#options.filter), unacked: this.#unsettled.size };
  }

  /** Acknowledged or terminated: it never comes again, and leaves a work queue. */
  settle(sequence: number): void {
    this.#unsettled.get(sequence)?.timer?.cancel();
    if (!this.#unsettled.delete(sequence)) return;
    if (this.#stream.row.retention === 'workqueue') this.#stream.delete(sequence);
    this.#deliver();
  }

  nak(sequence: number, delayMs: number): void {
    const unsettled = this.#unsettled.get(sequence);
    if (unsettled?.delivered) this.#again(unsettled, delayMs);
  }

  working(sequence: number): void {
    const unsettled = this.#unsettled.get(sequence);
    if (unsettled?.delivered) this.#startAckWait(unsettled);
  }

  /** Nothing is delivered any more, and those who wait hear of it. */
  delete(): void {
    this.#deleted = true;
    const takers = [...this.#takers];
    this.close();
    for (const taker of takers) taker.end(missing());
  }

  close(): void {
    for (const unsettled of this.#unsettled.values()) unsettled.timer?.cancel();
    this.#unsettled.clear();
    this.#takers.clear();
  }

  #deliver(): void {
    if (this.#deleted) return;
    for (const taker of this.#takers)
      while (taker.wants() > 0) {
        const next = this.#next();
        if (next === undefined) return;
        next.count++;
        next.delivered = true;
        this.#startAckWait(next);
        taker.take(next.entry, next.count);
      }
  }

  /** Redeliveries first, as the real one does. */
  #next(): Unsettled | undefined {
    for (const unsettled of this.#unsettled.values())
      if (!unsettled.delivered && unsettled.timer === undefined) {
        if (this.#stream.get(unsettled.entry.sequence) !== undefined) return unsettled;
        this.#unsettled.delete(unsettled.entry.sequence);
      }
    if (this.#unsettled.size >= this.#options.maxAckPending) return undefined;
    const entry = this.#stream.nextAfter(this.#position, this.#options.filter);
    if (entry === undefined) return undefined;
    this.#position = entry.sequence;
    const fresh: Unsettled = { entry, count: 0, timer: undefined, delivered: false };
    this.#unsettled.set(entry.sequence, fresh);
    return fresh;
  }

  #startAckWait(unsettled: Unsettled): void {
    unsettled.timer?.cancel();
    unsettled.timer = this.#clock.setTimer(this.#options.ackWaitMs, () => this.#again(unsettled, 0));
  }

  #again(unsettled: Unsettled, delayMs: number): void {
    unsettled.timer?.cancel();
    unsettled.timer = undefined;
    unsettled.delivered = false;
    const { maxDeliver } = this.#options;
    if (maxDeliver > 0 && unsettled.count >= maxDeliver) {
      // It stays in the stream, but this consumer is done with it.
      this.#unsettled.delete(unsettled.entry.sequence);
      return;
    }
    if (delayMs > 0)
      unsettled.timer = this.#clock.setTimer(delayMs, () => {
        unsettled.timer = undefined;
        this.#deliver();
      });
    else this.#deliver();
  }
}

function missing(): Failure {
  return new Failure('NOT_FOUND', 'the consumer was deleted', { reason: 'CONSUMER_MISSING' });
}
