import { TIMESTAMP_ZERO, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { backoffMs, type Clock, type Logger, type Random } from '@meridian/runtime';
import { META_KEY } from '../replication/protocol.ts';
import { NO_META } from '../replication/state-log.ts';
import type { LogMarker, StateLog } from './ports.ts';

export interface LogKeeperOptions {
  readonly log: StateLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Beside the log: whether it ever had records. */
  readonly marker: LogMarker;
}

const RETRY = { initialMs: 20, maxMs: 1_000 };
const RECOVER_ATTEMPTS_MAX = 20;
const NO_LINEAGE = { actor: undefined, counter: 0 };

/**
 * Reads the log as a whole, forgets of it, and begins it anew; notes that it has records.
 *
 * 1. What the state machine has decided is tried until the log has done it, or the process stops.
 * 2. Reading it at the start ends after {@link RECOVER_ATTEMPTS_MAX} attempts: then the start fails.
 */
export class LogKeeper {
  readonly #options: LogKeeperOptions;
  readonly #stopped: AbortSignal;
  #isMarked = false;

  constructor(options: LogKeeperOptions, stopped: AbortSignal) {
    this.#options = options;
    this.#stopped = stopped;
  }

  /** @throws Failure of the log, when it is not retryable or remains */
  async recover(): ReturnType<StateLog['recover']> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#options.log.recover();
      } catch (error) {
        const failure = Failure.from(error);
        if (!failure.retryable || attempt >= RECOVER_ATTEMPTS_MAX) throw failure;
        this.#options.logger.warn({ err: error, attempt }, 'the state log could not be read; trying again');
        await this.#pause(attempt);
      }
    }
  }

  async hadRecords(): Promise<boolean> {
    this.#isMarked = await this.#options.marker.isSet();
    return this.#isMarked;
  }

  /** Notes once that the log has records. */
  async mark(): Promise<void> {
    if (this.#isMarked) return;
    this.#isMarked = true;
    try {
      await this.#options.marker.set();
    } catch (error) {
      this.#isMarked = false;
      this.#options.logger.warn({ err: error }, 'could not note that the log has records');
    }
  }

  /** @returns false when the process stops before */
  forget(key: string, sequence: number): Promise<boolean> {
    return this.#untilDone(`forget ${key}`, () => this.#options.log.forget(key, sequence));
  }

  /**
   * Clears the log but for the region's generation.
   * @param boot reads it again
   * @returns false when the process stops before
   */
  beginAnew(generation: number, boot: () => Promise<void>): Promise<boolean> {
    const { log, random } = this.#options;
    const meta = { ...NO_META, generation };
    const nothing = { lineage: NO_LINEAGE, clock: VersionVector.EMPTY, last: TIMESTAMP_ZERO };
    const record = { key: META_KEY, meta, ...nothing };
    return this.#untilDone('rejoin', async () => {
      await log.clear();
      // Of each attempt: what an earlier one stored is gone, and the log would take this one for a repetition of it.
      const messageId = `rejoin.${random.bigint64().toString(16)}`;
      await log.append(record, { expectedSequence: 0, messageId, cause: undefined });
      await boot();
    });
  }

  async #untilDone(what: string, action: () => Promise<void>): Promise<boolean> {
    for (let attempt = 0; !this.#stopped.aborted; attempt++) {
      try {
        await action();
        return true;
      } catch (error) {
        this.#options.logger.warn({ err: error, what, attempt }, 'the state log did not do it; trying again');
      }
      await this.#pause(attempt);
    }
    return false;
  }

  #pause(attempt: number): Promise<void> {
    const { clock, random } = this.#options;
    return clock.sleep(backoffMs(attempt, RETRY, random), this.#stopped).catch(() => undefined);
  }
}
