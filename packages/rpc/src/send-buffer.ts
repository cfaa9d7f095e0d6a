import { Failure } from '@meridian/failure';

/**
 * Encoded messages between `send` and the transport's word that they left.
 *
 * 1. Order is kept.
 * 2. `send` says false from `bytesMax` on; the message is still taken, so one of any size passes. Each message counts
 *    for {@link MESSAGE_OVERHEAD_BYTES} more than its length, so that many tiny ones are bounded, too.
 * 3. A caller that goes on regardless for more than `overflowBytes` ends the call: the peer does not read, and
 *    memory is not for waiting on it.
 * 4. Nothing is sent, and `ready` is rejected, once the buffer is closed.
 */
export interface SendBufferOptions {
  readonly bytesMax: number;
  readonly overflowBytes: number;
  /** Messages given to the transport at once. grpc-js clients keep only the last one before they are connected. */
  readonly inFlightMax: number;
  readonly transmit: (message: Buffer, sent: () => void) => void;
  readonly overflowed: () => void;
}

/** What a waiting message costs beside its bytes: the buffer object, its place in the queue, its callback. */
const MESSAGE_OVERHEAD_BYTES = 512;
/** Places of sent messages that the queue keeps before it moves up: moving at every message would be quadratic. */
const QUEUE_SLACK = 64;

export class SendBuffer {
  readonly #options: SendBufferOptions;
  /** Messages from `#head` on wait; those before it were given to the transport. */
  readonly #queue: Buffer[] = [];
  #head = 0;
  #inFlight = 0;
  #bytes = 0;
  #afterLast: (() => void) | undefined;
  #closed: Failure | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(options: SendBufferOptions) {
    this.#options = options;
  }

  /** @returns whether there is room for more; when not, `await ready()` before the next. */
  send(message: Buffer): boolean {
    if (this.#closed !== undefined || this.#afterLast !== undefined) return false;
    this.#bytes += message.length + MESSAGE_OVERHEAD_BYTES;
    this.#queue.push(message);
    this.#transmitNext();
    if (this.#bytes > this.#options.overflowBytes) this.#options.overflowed();
    return this.#bytes < this.#options.bytesMax;
  }

  /** Resolves when half of the buffer is free; rejected with the failure that ended the call. */
  ready(): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#bytes < this.#options.bytesMax) return Promise.resolve();
    if (this.#room === undefined) {
      this.#room = Promise.withResolvers();
      this.#room.promise.catch(() => {}); // whoever asked may have left meanwhile
    }
    return this.#room.promise;
  }

  /** Runs `afterLast` once everything was given to the transport; takes nothing more. */
  finish(afterLast: () => void): void {
    if (this.#closed !== undefined || this.#afterLast !== undefined) return;
    this.#afterLast = afterLast;
    if (!this.#waits) afterLast();
  }

  close(failure: Failure): void {
    if (this.#closed !== undefined) return;
    this.#closed = failure;
    this.#queue.length = this.#head = 0;
    this.#room?.reject(failure);
  }

  get #waits(): boolean {
    return this.#head < this.#queue.length;
  }

  #transmitNext(): void {
    while (this.#inFlight < this.#options.inFlightMax) {
      const message = this.#take();
      if (message === undefined) return;
      this.#inFlight += 1;
      this.#options.transmit(message, () => this.#sent(message.length + MESSAGE_OVERHEAD_BYTES));
    }
  }

  #take(): Buffer | undefined {
    const message = this.#queue[this.#head];
    if (message === undefined) return undefined;
    this.#head += 1;
    if (this.#head >= QUEUE_SLACK && this.#head * 2 >= this.#queue.length) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return message;
  }

  #sent(bytes: number): void {
    this.#inFlight -= 1;
    this.#bytes -= bytes;
    if (this.#closed !== undefined) return;
    const waited = this.#waits;
    this.#transmitNext();
    if (waited && !this.#waits) this.#afterLast?.();
    if (this.#room === undefined || this.#bytes > this.#options.bytesMax / 2) return;
    this.#room.resolve();
    this.#room = undefined;
  }
}

/** What a producer finds that outlives a call which ended well. One for all: its stack says nothing. */
export const CALL_OVER = new Failure('CANCELLED', 'the call is over', { reason: 'CALL_OVER' });

export function sendBufferFull(): Failure {
  return new Failure('RESOURCE_EXHAUSTED', 'the peer does not read what is sent to it', { reason: 'SEND_BUFFER_FULL' });
}
