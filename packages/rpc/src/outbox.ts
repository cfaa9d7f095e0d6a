import { assert, Failure } from '@meridian/failure';

/** Where an attached outbox puts its messages: the sending side of a call. */
export interface OutboxSink<T> {
  /** @returns whether there is room for more. */
  send(message: T): boolean;
  ready(): Promise<void>;
}

/** For the adapters of this package: joins an outbox to a call without a promise per message. */
export const ATTACH = Symbol('attach');
/** For the adapters of this package: the call is over. */
export const CLOSE = Symbol('close');

/** Messages kept before a call takes the outbox over. */
const MESSAGES_MAX = 256;
/** Beyond this multiple of `messagesMax` a producer that does not heed `false` is refused. */
const OVERFLOW_FACTOR = 4;

/**
 * A stream of messages written from several places: return it from a bidi or server-streaming handler, or hand it to a
 * client's streaming method as the requests.
 *
 * 1. Order of `push` is order on the wire.
 * 2. Bounded: until a call takes it over, by `messagesMax` (then `push` says false, and from four times that it
 *    throws); afterwards by the call's send buffer, in bytes.
 * 3. After `finish`, or once the call is over, nothing is kept: `push` says false and `ready` is rejected with the reason.
 */
export class Outbox<T> implements AsyncIterable<T, undefined> {
  readonly #messagesMax: number;
  readonly #queue: T[] = [];
  readonly #finished = Promise.withResolvers<void>();
  #sink: OutboxSink<T> | undefined;
  #closed: Failure | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  #arrival: PromiseWithResolvers<void> | undefined;

  constructor(options: { readonly messagesMax?: number } = {}) {
    this.#messagesMax = options.messagesMax ?? MESSAGES_MAX;
    this.#finished.promise.catch(() => {}); // nobody has to wait for an outbox
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /**
   * Sends, or keeps until a call takes the outbox over.
   * @returns false when full (the message is kept all the same: `await ready()` before the next) or closed (it is not).
   * @throws Failure RESOURCE_EXHAUSTED / OUTBOX_FULL for a producer that goes on regardless. Retryable.
   */
  push(message: T): boolean {
    if (this.#closed !== undefined) return false;
    if (this.#sink !== undefined) return this.#sink.send(message);
    if (this.#queue.length >= this.#messagesMax * OVERFLOW_FACTOR) {
      throw new Failure('RESOURCE_EXHAUSTED', 'too many messages wait for a reader', { reason: 'OUTBOX_FULL' });
    }
    this.#queue.push(message);
    this.#arrival?.resolve();
    this.#arrival = undefined;
    return this.#queue.length < this.#messagesMax;
  }

  /** Resolves when there is room; rejected with the reason once the outbox is closed. */
  ready(): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#sink !== undefined) return this.#sink.ready();
    if (this.#queue.length < this.#messagesMax) return Promise.resolve();
    if (this.#room === undefined) {
      this.#room = Promise.withResolvers();
      this.#room.promise.catch(() => {});
    }
    return this.#room.promise;
  }

  /** Ends the stream after what was pushed; with a failure, the call ends with that. Idempotent. */
  finish(failure?: Failure): void {
    if (this.#closed !== undefined) return;
    this.#close(failure ?? new Failure('CANCELLED', 'the stream is finished', { reason: 'STREAM_FINISHED' }));
    if (failure === undefined) this.#finished.resolve();
    else this.#finished.reject(failure);
  }

  /** @returns settles with the outbox; the call then ends. */
  [ATTACH](sink: OutboxSink<T>): Promise<void> {
    assert(this.#sink === undefined, 'an outbox belongs to one call');
    this.#sink = sink;
    for (const message of this.#queue.splice(0)) sink.send(message);
    // Waiters see the sink's room from now on.
    if (this.#room !== undefined) sink.ready().then(this.#room.resolve, this.#room.reject);
    this.#room = undefined;
    return this.#finished.promise;
  }

  [CLOSE](failure: Failure): void {
    if (this.#closed !== undefined) return;
    this.#queue.length = 0;
    this.#close(failure);
    this.#finished.reject(failure);
  }

  /** For readers that are no gRPC call, tests among them. Leaving the loop closes the outbox. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, undefined> {
    try {
      for (;;) {
        for (let message = this.#take(); message !== undefined; message = this.#take()) yield message;
        if (this.#closed !== undefined) break;
        this.#arrival = Promise.withResolvers();
        await this.#arrival.promise;
      }
      await this.#finished.promise;
    } finally {
      this[CLOSE](new Failure('CANCELLED', 'the reader left', { reason: 'READER_LEFT' }));
    }
    return undefined;
  }

  #take(): T | undefined {
    const message = this.#queue.shift();
    if (this.#queue.length < this.#messagesMax) {
      this.#room?.resolve();
      this.#room = undefined;
    }
    return message;
  }

  #close(failure: Failure): void {
    this.#closed = failure;
    this.#arrival?.resolve();
    this.#arrival = undefined;
    this.#room?.reject(failure);
    this.#room = undefined;
  }
}
