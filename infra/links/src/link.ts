/**
 * State of the link between two regions, shared by all routes over it.
 *
 * 1. Each direction is one wire: bytes of all its connections leave one after the other at the bandwidth.
 * 2. A change of conditions touches what leaves after it; what is on the way arrives as it would have.
 */
export type LinkStatus = 'up' | 'cut' | 'blackhole';

export interface Conditions {
  readonly oneWayDelayMs: number;
  readonly bandwidthMbps: number;
}

const BYTES_PER_MS_OF_MBPS = 125;
/** A router in front of the link holds at most this much time of traffic, … */
const QUEUE_MS = 100;
/** … at least this much, or small messages would never pass beside a large one, … */
const QUEUE_BYTES_MIN = 64 * 1024;
/** … and at most this much, on every connection. */
const QUEUE_BYTES_MAX = 4 * 2 ** 20;

export class Link {
  status: LinkStatus = 'up';
  /** Overrides of what the routes were opened with. */
  slowed: Partial<Conditions> = {};
  readonly #wireFreeMs = new Map<string, number>();

  conditions(opened: Conditions): Conditions {
    return { ...opened, ...this.slowed };
  }

  /**
   * Puts bytes on the wire.
   * @param from region that sends.
   * @returns when the last of them arrives, on the emulator's clock.
   */
  send(from: string, bytes: number, opened: Conditions, nowMs: number): number {
    const { oneWayDelayMs, bandwidthMbps } = this.conditions(opened);
    const startMs = Math.max(nowMs, this.#wireFreeMs.get(from) ?? 0);
    const sentMs = startMs + bytes / (bandwidthMbps * BYTES_PER_MS_OF_MBPS);
    this.#wireFreeMs.set(from, sentMs);
    return sentMs + oneWayDelayMs;
  }

  /** Everything on the wire is lost. */
  drop(): void {
    this.#wireFreeMs.clear();
  }

  /** Bytes that one direction of one connection may hold: what is travelling and what waits to leave. */
  bufferBytes(opened: Conditions): number {
    const { oneWayDelayMs, bandwidthMbps } = this.conditions(opened);
    const bytesPerMs = bandwidthMbps * BYTES_PER_MS_OF_MBPS;
    const waiting = Math.min(Math.max(bytesPerMs * QUEUE_MS, QUEUE_BYTES_MIN), QUEUE_BYTES_MAX);
    return Math.ceil(bytesPerMs * oneWayDelayMs + waiting);
  }
}
