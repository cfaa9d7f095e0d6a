import type { Failure } from '@meridian/failure';

/**
 * Messages that arrived on a stream and that its one reader has not taken.
 *
 * 1. At most one pull is outstanding, and none is started while `messagesMax` messages or `bytesMax` bytes wait:
 *    a slow reader stops the transport, whose window then stops the sender.
 * 2. What was queued is delivered before the end or the failure: a result that arrived counts, though its sender died.
 * 3. After `return` (the reader left its loop) nothing is queued, pulled or delivered.
 */
export interface InboxOptions {
  readonly messagesMax: number;
  readonly bytesMax: number;
  /** Asks the transport for one more message; `push`, `finish` or `fail` answers. */
  readonly pull: () => void;
  /** The reader left before the end. */
  readonly abandoned?: () => void;
}

interface Waiter<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (failure: Failure) => void;
}

export class Inbox<T> implements AsyncIterableIterator<T, undefined> {
  readonly #options: InboxOptions;
  readonly #queue: { readonly message: T; readonly bytes: number }[] = [];
  readonly #waiters: Waiter<T>[] = [];
  #bytes = 0;
  #pulling = false;
  #end: 'finished' | Failure | undefined;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  push(message: T, bytes: number): void {
    this.#pulling = false;
    if (this.#end !== undefined) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) waiter.resolve({ done: false, value: message });
    else {
      this.#queue.push({ message, bytes });
      this.#bytes += bytes;
    }
    this.fill();
  }

  finish(): void {
    if (this.#end !== undefined) return;
    this.#end = 'finished';
    for (const waiter of this.#waiters.splice(0)) waiter.resolve({ done: true, value: undefined });
  }

  fail(failure: Failure): void {
    if (this.#end !== undefined) return;
    this.#end = failure;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(failure);
  }

  /** Starts reading ahead, and goes on with it when there is room. */
  fill(): void {
    const room = this.#queue.length < this.#options.messagesMax && this.#bytes < this.#options.bytesMax;
    if (this.#pulling || this.#end !== undefined || !room) return;
    this.#pulling = true;
    this.#options.pull();
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const entry = this.#queue.shift();
    if (entry !== undefined) {
      this.#bytes -= entry.bytes;
      this.fill();
      return Promise.resolve({ done: false, value: entry.message });
    }
    if (this.#end === 'finished') return Promise.resolve({ done: true, value: undefined });
    if (this.#end !== undefined) return Promise.reject(this.#end);
    this.fill();
    return new Promise((resolve, reject) => void this.#waiters.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#queue.length = 0;
    this.#bytes = 0;
    const early = this.#end === undefined;
    this.finish();
    if (early) this.#options.abandoned?.();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
