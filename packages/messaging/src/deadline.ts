import type { Clock } from '@meridian/runtime';

/** Waits for work, but not longer than `timeoutMs`. Never rejects: what the work was is over either way. */
export async function within(clock: Clock, timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  const late = clock.sleep(timeoutMs, done.signal).catch(() => undefined);
  await Promise.race([work.catch(() => undefined), late]);
  done.abort();
}
