import { Failure } from '@meridian/failure';

/**
 * Encoded messages between `send` and the transport's word that they left.
 *
 * 1. Order is kept.
 * 2. `send` says false from `bytesMax` on; the message is still taken, so one of any size passes.
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

export class SendBuffer {
  readonly #options: SendBufferOptions;
  readonly #waiting: Buffer[] = [];
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
    this.#bytes += message.length;
    this.#waiting.push(message);
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
    if (this.#waiting.length === 0) afterLast();
  }

  close(failure: Failure): void {
    if (this.#closed !== undefined) return;
    this.#closed = failure;
    this.#waiting.length = 0;
    this.#room?.reject(failure);
  }

  #transmitNext(): void {
    while (this.#inFlight < this.#options.inFlightMax) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      this.#inFlight += 1;
      this.#options.transmit(message, () => this.#sent(message.length));
    }
  }

  #sent(bytes: number): void {
    this.#inFlight -= 1;
    this.#bytes -= bytes;
    if (this.#closed !== undefined) return;
    const waited = this.#waiting.length > 0;
    this.#transmitNext();
    if (waited && this.#waiting.length === 0) this.#afterLast?.();
    if (this.#room === undefined || this.#bytes > this.#options.bytesMax / 2) return;
    this.#room.resolve();
    this.#room = undefined;
  }
}

export function sendBufferFull(): Failure {
  return new Failure('RESOURCE_EXHAUSTED', 'the peer does not read what is sent to it', { reason: 'SEND_BUFFER_FULL' });
}
