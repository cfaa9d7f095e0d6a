/**
 * Hybrid logical clock (Kulkarni, Demirbas et al., "Logical Physical Clocks", OPODIS 2014).
 *
 * 1. e → f implies hlc(e) < hlc(f); the order is total with the region as last resort.
 * 2. Strictly monotone in one process, whatever the wall clock does, and over restarts when started from `last`.
 * 3. A remote timestamp further ahead than `driftMaxMs` never moves the clock: `receive` says 'far-future' and the
 *    caller holds the event. Adopting it would let one wrong clock win every later tie-break.
 */
export interface Timestamp {
  /** Milliseconds since 1970, at most 2^48 − 1. */
  readonly wallMs: number;
  /** Ticks within one `wallMs`, 0 … 65535. */
  readonly logical: number;
}

const LOGICAL_MAX = 0xffff;
const WALL_MAX = 2 ** 48 - 1;
export const TIMESTAMP_ZERO: Timestamp = { wallMs: 0, logical: 0 };

export function compareTimestamps(a: Timestamp, b: Timestamp): number {
  return a.wallMs - b.wallMs || a.logical - b.logical;
}

/** 16 lower-case hexadecimal digits (48 bits wall, 16 bits logical): text order is time order. */
export function formatTimestamp(t: Timestamp): string {
  return t.wallMs.toString(16).padStart(12, '0') + t.logical.toString(16).padStart(4, '0');
}

export function parseTimestamp(text: string): Timestamp | undefined {
  if (!/^[0-9a-f]{16}$/.test(text)) return undefined;
  return { wallMs: Number.parseInt(text.slice(0, 12), 16), logical: Number.parseInt(text.slice(12), 16) };
}

export class HybridLogicalClock {
  readonly #nowMs: () => number;
  readonly #driftMaxMs: number;
  #last: Timestamp;

  constructor(nowMs: () => number, options: { readonly driftMaxMs: number; readonly last?: Timestamp }) {
    this.#nowMs = nowMs;
    this.#driftMaxMs = options.driftMaxMs;
    this.#last = options.last ?? TIMESTAMP_ZERO;
  }

  get last(): Timestamp {
    return this.#last;
  }

  /** Timestamp for a local or send event. */
  tick(): Timestamp {
    return this.#advance(TIMESTAMP_ZERO);
  }

  /** Takes a remote timestamp into account, or refuses it as too far ahead of the wall clock. */
  receive(remote: Timestamp): Timestamp | 'far-future' {
    if (remote.wallMs - this.#nowMs() > this.#driftMaxMs) return 'far-future';
    return this.#advance(remote);
  }

  #advance(remote: Timestamp): Timestamp {
    const physical: Timestamp = { wallMs: Math.min(Math.max(0, Math.floor(this.#nowMs())), WALL_MAX), logical: -1 };
    let top = this.#last;
    for (const candidate of [remote, physical]) if (compareTimestamps(candidate, top) > 0) top = candidate;
    this.#last =
      top.logical < LOGICAL_MAX
        ? { wallMs: top.wallMs, logical: top.logical + 1 }
        : { wallMs: top.wallMs + 1, logical: 0 };
    return this.#last;
  }
}
