import type { Socket } from 'node:net';
import type { LinkClock } from './clock.ts';
import { DelayLine, type Parcel } from './delay-line.ts';
import type { Conditions, Link } from './link.ts';

/**
 * One direction of one connection.
 *
 * 1. Bytes, end and reset travel in one line: none overtakes another.
 * 2. It holds at most `link.bufferBytes` and one read more: beyond, the source is not read, and TCP slows its sender.
 * 3. A destination that is gone takes nothing more; what arrives for it is dropped, as a reset host does.
 */
export interface PipeOptions {
  readonly source: Socket;
  readonly link: Link;
  /** Region on whose side the source is. */
  readonly from: string;
  readonly conditions: Conditions;
  readonly clock: LinkClock;
}

export class Pipe {
  readonly #options: PipeOptions;
  readonly #line: DelayLine;
  #destination: Socket | undefined;
  #ended = false;
  bytes = 0;

  constructor(options: PipeOptions) {
    this.#options = options;
    this.#line = new DelayLine(options.clock, (parcels) => this.#deliver(parcels));
    this.#line.hold();
    options.source.on('data', (chunk: Buffer) => this.#receive(chunk));
    options.source.on('end', () => {
      this.#ended = true;
      this.#push('end', 0);
    });
    options.source.on('close', (failed) => {
      if (failed || !this.#ended) this.#push('reset', 0);
    });
  }

  /** Bytes on the way, and those that the destination's socket has not yet taken. */
  get bufferedBytes(): number {
    return this.#line.bytes + (this.#destination?.writableLength ?? 0);
  }

  /** Starts to deliver. Until then, what the source sends waits. */
  connect(destination: Socket): void {
    this.#destination = destination;
    destination.on('drain', () => {
      this.#line.unblock();
      this.#resumeSource();
    });
    destination.on('close', () => this.#line.clear());
    if (this.#options.link.status !== 'blackhole') this.release(0);
  }

  hold(): void {
    this.#line.hold();
  }

  release(earliestMs: number): void {
    if (this.#destination !== undefined) this.#line.release(earliestMs);
  }

  close(): void {
    this.#line.clear();
    this.#destination = undefined;
  }

  #receive(chunk: Buffer): void {
    if (this.#destination?.destroyed === true) return;
    this.bytes += chunk.length;
    this.#push(chunk, chunk.length);
    if (this.bufferedBytes >= this.#bufferBytes()) this.#options.source.pause();
  }

  #resumeSource(): void {
    const { source } = this.#options;
    if (source.isPaused() && this.bufferedBytes < this.#bufferBytes()) source.resume();
  }

  #push(parcel: Parcel, bytes: number): void {
    const { link, from, conditions, clock } = this.#options;
    if (this.#destination?.destroyed === true) return;
    this.#line.push(parcel, link.send(from, bytes, conditions, clock.monotonicMs()));
  }

  #deliver(parcels: readonly Parcel[]): boolean {
    const destination = this.#destination;
    if (destination === undefined || destination.destroyed) return true;
    let ready = true;
    destination.cork();
    for (const parcel of parcels) {
      if (parcel === 'end') destination.end();
      else if (parcel === 'reset') destination.resetAndDestroy();
      else ready = destination.write(parcel);
    }
    destination.uncork();
    this.#resumeSource();
    return ready || destination.destroyed;
  }

  #bufferBytes(): number {
    return this.#options.link.bufferBytes(this.#options.conditions);
  }
}
