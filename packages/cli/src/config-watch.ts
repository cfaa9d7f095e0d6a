import type { WatchKeysResponse } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { backoffMs, type Clock, type Random } from '@meridian/runtime';
import type { StateClient } from './commands/state-call.ts';

export interface ConfigWatchOptions {
  readonly client: Pick<StateClient, 'watchKeys'>;
  readonly prefix: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onRetry: (failure: Failure, delayMs: number) => void;
}

const BACKOFF = { initialMs: 200, maxMs: 5_000 };

/**
 * Watches without end, over lost connections and restarts, from the vector that it has got to: nothing is told twice.
 * @throws Failure that trying again does not help against, or CANCELLED by the signal.
 */
export async function* watchKeys(options: ConfigWatchOptions): AsyncGenerator<WatchKeysResponse> {
  const { client, prefix, clock, random, signal, onRetry } = options;
  let versionVector = '';
  for (let attempt = 0; ; attempt++) {
    let failure = new Failure('UNAVAILABLE', 'the region ended the watch');
    try {
      for await (const update of client.watchKeys({ prefix, versionVector }, { signal })) {
        attempt = -1;
        versionVector = update.versionVector;
        yield update;
      }
    } catch (thrown) {
      failure = Failure.from(thrown);
      if (signal.aborted || !failure.retryable) throw failure;
    }
    const delayMs = backoffMs(Math.max(attempt, 0), BACKOFF, random);
    onRetry(failure, delayMs);
    await clock.sleep(delayMs, signal);
  }
}
