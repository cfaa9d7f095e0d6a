import { TIMESTAMP_ZERO, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { backoffMs, type Clock, type Logger, type Random } from '@meridian/runtime';
import { META_KEY } from '../replication/protocol.ts';
import { NO_META } from '../replication/state-log.ts';
import type { LogContent, LogMarker, StateLog } from './ports.ts';

export interface LogKeeperOptions {
  readonly log: StateLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Beside the log: which one had all records. */
  readonly marker: LogMarker;
  /** The state log is not ours any more: the process must end. */
  readonly onFatal: (failure: Failure) => void;
}

const RETRY = { initialMs: 20, maxMs: 1_000 };
const RECOVER_ATTEMPTS_MAX = 20;
const NO_LINEAGE = { actor: undefined, counter: 0 };

/** What is known of the log that was read, by what was noted beside it. */
export interface LogNote {
  /** Another log had all of the region's records once, or one whose identity was not noted. */
  readonly hadLog: boolean;
  /** Another one: its store was lost, whatever has come into the new one since. */
  readonly isReplaced: boolean;
}

/**
 * Reads the log as a whole, forgets of it, and begins it anew; notes that it has all records.
 *
 * 1. What the state machine has decided is tried until the log has done it, or the process stops.
 * 2. Reading it at the start ends after {@link RECOVER_ATTEMPTS_MAX} attempts: then the start fails.
 */
export class LogKeeper {
  readonly #options: LogKeeperOptions;
  readonly #stopped: AbortSignal;
  #identity = '';
  #noted: string | undefined;
  #marking = Promise.resolve();

  constructor(options: LogKeeperOptions, stopped: AbortSignal) {
    this.#options = options;
    this.#stopped = stopped;
  }

  /** @throws Failure of the log, when it is not retryable or remains */
  async recover(): Promise<LogContent & LogNote> {
    const content = await this.#read();
    this.#identity = content.identity;
    this.#noted = await this.#options.marker.get();
    const wasNoted = this.#noted !== undefined;
    return {
      ...content,
      hadLog: wasNoted && !this.isMarked,
      isReplaced: wasNoted && this.#noted !== '' && !this.isMarked,
    };
  }

  get isMarked(): boolean {
    return this.#noted === this.#identity;
  }

  async #read(): Promise<LogContent> {
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

  /** Notes once that this log has all records. */
  mark(): Promise<void> {
    if (!this.isMarked) this.#marking = this.#mark();
    return this.#marking;
  }

  /** Nothing is written any more once the signal has told to stop. */
  idle(): Promise<void> {
    return this.#marking;
  }

  async #mark(): Promise<void> {
    const before = this.#noted;
    this.#noted = this.#identity;
    try {
      await this.#options.marker.set(this.#identity);
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'could not note that the log has all records');
      await this.#pause(RECOVER_ATTEMPTS_MAX);
      this.#noted = before;
    }
  }

  /** The broker may have lost its store while it was away. */
  async verify(): Promise<void> {
    await this.#untilDone('verify', async () => {
      try {
        await this.#options.log.verify();
      } catch (error) {
        const failure = Failure.from(error);
        if (failure.retryable) throw failure;
        if (!this.#stopped.aborted) this.#options.onFatal(failure);
      }
    });
  }

  /** @returns false when the process stops before */
  forget(key: string, sequence: number): Promise<boolean> {
    return this.#untilDone(`forget ${key}`, () => this.#options.log.forget(key, sequence));
  }

  /**
   * Clears the log but for the region's generation. Its identity is another one, which is noted when the others have sent
   * what they have: a process that dies in between does not take the part that had come for all.
   * @param boot reads it again
   * @returns false when the process stops before
   */
  beginAnew(generation: number, boot: () => Promise<void>): Promise<boolean> {
    const { log, random } = this.#options;
    const nothing = { lineage: NO_LINEAGE, clock: VersionVector.EMPTY, last: TIMESTAMP_ZERO };
    return this.#untilDone('rejoin', async () => {
      await log.clear();
      const identity = random.bigint64().toString(16).padStart(16, '0');
      const record = { key: META_KEY, meta: { ...NO_META, generation, identity }, ...nothing };
      // Of each attempt: what an earlier one stored is gone, and the log would take this one for a repetition of it.
      const messageId = `rejoin.${identity}`;
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
