import type { Clock } from '@meridian/runtime';

/** One line a second and key: a flood of bad messages must not become a flood of log lines. */
const INTERVAL_MS = 1000;
/** Keys are closed sets (reasons); the bound only guards against a future mistake. */
const KEYS_MAX = 256;

interface Window {
  endsMs: number;
  suppressed: number;
}

/** Decides which of many like events is logged, and how many were not since the last one that was. */
export class LogLimiter {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns undefined when this one is not to be logged, else how many of its key went unlogged before it. */
  admit(key: string): { readonly suppressed: number } | undefined {
    const nowMs = this.#clock.monotonicMs();
    const window = this.#windows.get(key);
    if (window !== undefined && nowMs < window.endsMs) {
      window.suppressed++;
      return undefined;
    }
    if (window === undefined && this.#windows.size >= KEYS_MAX) return undefined;
    this.#windows.set(key, { endsMs: nowMs + INTERVAL_MS, suppressed: 0 });
    return { suppressed: window?.suppressed ?? 0 };
  }
}
