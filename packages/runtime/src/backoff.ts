import type { Random } from './random.ts';

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** Part of the delay that is drawn at random, 0 … 1. Higher spreads retries more, but some come sooner. Default 0.5. */
  readonly jitter?: number;
}

/** Enough doublings for any delay that makes sense; keeps 2^n finite. */
const DOUBLINGS_MAX = 30;

/**
 * Delay before retry `attempt` (0 is the first): min(maxMs, initialMs · 2^attempt) · (1 − jitter · u), u in [0, 1).
 * Never above `maxMs`.
 */
export function backoffMs(attempt: number, options: BackoffOptions, random: Random): number {
  const doublings = Math.min(Math.max(attempt, 0), DOUBLINGS_MAX);
  const ceilingMs = Math.min(options.maxMs, options.initialMs * 2 ** doublings);
  return ceilingMs * (1 - (options.jitter ?? 0.5) * random.next());
}
