import { connect, type Socket } from 'node:net';
import type { LinkClock } from './clock.ts';
import type { Conditions, Link } from './link.ts';
import { Pipe } from './pipe.ts';

/** Bytes that a socket holds for its peer before it asks us to wait. */
export const SOCKET_BUFFER_BYTES = 2 ** 20;

export interface ConnectionOptions {
  readonly accepted: Socket;
  readonly target: { readonly host: string; readonly port: number };
  readonly link: Link;
  readonly between: readonly [string, string];
  readonly conditions: Conditions;
  readonly clock: LinkClock;
  readonly onClose: (connection: Connection) => void;
}

/**
 * One accepted connection and the one it stands for.
 *
 * 1. Setting up costs a round trip, as TCP's handshake does: the target is dialled when SYN, SYN-ACK and ACK would
 *    have passed.
 * 2. It ends when both sockets have closed, or at once by `reset`.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #forward: Pipe;
  #back: Pipe | undefined;
  #dialled: Socket | undefined;
  #dialTimer: { cancel(): void } | undefined;
  #dialAtMs: number;
  #open = 1;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { accepted, link, between, conditions, clock } = options;
    accepted.on('error', ignore);
    accepted.on('close', () => this.#socketClosed());
    accepted.setNoDelay(true);
    this.#forward = new Pipe({ source: accepted, link, from: between[0], conditions, clock });
    this.#dialAtMs = clock.monotonicMs() + this.#handshakeMs();
    if (link.status !== 'blackhole') this.#scheduleDial();
  }

  get bytes(): readonly [forward: number, back: number] {
    return [this.#forward.bytes, this.#back?.bytes ?? 0];
  }

  get bufferedBytes(): number {
    return this.#forward.bufferedBytes + (this.#back?.bufferedBytes ?? 0);
  }

  /** Packets vanish from now on. */
  hold(): void {
    this.#dialTimer?.cancel();
    this.#dialTimer = undefined;
    this.#forward.hold();
    this.#back?.hold();
  }

  /** Packets pass again; what was lost is sent again now. */
  release(): void {
    const { link, conditions, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#dialled === undefined) {
      this.#dialAtMs = Math.max(this.#dialAtMs, nowMs + this.#handshakeMs());
      this.#scheduleDial();
      return;
    }
    const earliestMs = nowMs + link.conditions(conditions).oneWayDelayMs;
    this.#forward.release(earliestMs);
    this.#back?.release(earliestMs);
  }

  /** Both ends see a reset, now. */
  reset(): void {
    this.#dialTimer?.cancel();
    this.#forward.close();
    this.#back?.close();
    this.#options.accepted.resetAndDestroy();
    this.#dialled?.resetAndDestroy();
  }

  #handshakeMs(): number {
    return 3 * this.#options.link.conditions(this.#options.conditions).oneWayDelayMs;
  }

  #scheduleDial(): void {
    const { clock } = this.#options;
    if (this.#dialTimer !== undefined || this.#closed) return;
    this.#dialTimer = clock.setTimer(Math.max(0, this.#dialAtMs - clock.monotonicMs()), () => this.#dial());
  }

  #dial(): void {
    const { accepted, target, link, between, conditions, clock } = this.#options;
    if (accepted.destroyed) return;
    const options = { ...target, noDelay: true, allowHalfOpen: true, highWaterMark: SOCKET_BUFFER_BYTES };
    const dialled = connect(options);
    this.#dialled = dialled;
    this.#open++;
    dialled.on('error', ignore);
    dialled.on('close', () => this.#socketClosed());
    this.#back = new Pipe({ source: dialled, link, from: between[1], conditions, clock });
    this.#back.connect(accepted);
    dialled.on('connect', () => this.#forward.connect(dialled));
  }

  #socketClosed(): void {
    if (--this.#open > 0 || this.#closed) return;
    this.#closed = true;
    this.#dialTimer?.cancel();
    this.#forward.close();
    this.#back?.close();
    this.#options.onClose(this);
  }
}

/** What went wrong reaches the other end as a reset; 'close' follows every 'error'. */
function ignore(): void {}
