import { create, toBinary } from '@bufbuild/protobuf';
import { VersionVector } from '@meridian/causality';
import { LogRecordSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { backoffMs, type Clock, type Logger, type Random } from '@meridian/runtime';
import { encodeLogRecord } from '../codec/replication-codec.ts';
import type { Append, LogRecord } from '../replication/protocol.ts';
import type { SyncMetrics } from './metrics.ts';
import type { Appended, AppendOptions, StateLog } from './ports.ts';

export interface LogWriterOptions {
  readonly log: StateLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: SyncMetrics;
  /** The state log is not ours any more: the process must end. */
  readonly onFatal: (failure: Failure) => void;
}

/** A broker that restarts is back within a second. */
const RETRY = { initialMs: 20, maxMs: 1_000 };

/**
 * Brings records into the log.
 *
 * 1. A record is sent until it is known to be stored, always with the same id and expectation: it is stored once.
 * 2. A run is sent as such once; when not all of it is known to be stored, each record goes by itself.
 * 3. When the key's last record is not the expected one, it is ours (the receipt was lost) or another writer's. The
 *    second is fatal: what this process holds for the state of the region is not it any more.
 */
export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #incarnation: string;

  constructor(options: LogWriterOptions) {
    this.#options = options;
    this.#incarnation = options.random.bigint64().toString(16).padStart(16, '0');
  }

  /** @returns in the same order; undefined where the process stops, or has to, before the outcome is known */
  async allStored(appends: readonly Append[], stopped: AbortSignal): Promise<readonly (Appended | undefined)[]> {
    const run = appends.length > 1 ? await this.#tryRun(appends) : undefined;
    return run ?? Promise.all(appends.map((append) => this.untilStored(append, stopped)));
  }

  /** @returns undefined when some may not be stored */
  async #tryRun(appends: readonly Append[]): Promise<readonly Appended[] | undefined> {
    try {
      return await this.#options.log.appendRun(
        appends.map((append) => ({ record: append.record, options: this.#optionsOf(append) })),
      );
    } catch (error) {
      const { reason } = Failure.from(error);
      this.#options.metrics.appendRetried(reason);
      this.#options.logger.debug({ reason, records: appends.length }, 'a run of records goes into the log one by one');
      return undefined;
    }
  }

  #optionsOf({ id, expectedSequence, cause }: Append): AppendOptions {
    return { expectedSequence, messageId: `${this.#incarnation}.${id}`, cause };
  }

  /** @returns undefined when the process stops, or has to, before the outcome is known */
  async untilStored(append: Append, stopped: AbortSignal): Promise<Appended | undefined> {
    const { clock, random, logger, metrics, onFatal } = this.#options;
    for (let attempt = 0; !stopped.aborted; attempt++) {
      const result = await this.#tryAppend(append);
      if (!(result instanceof Failure)) return result;
      if (!result.retryable) {
        if (!stopped.aborted) onFatal(result);
        return undefined;
      }
      metrics.appendRetried(result.reason);
      const { key } = append.record;
      logger.warn({ err: result, key, attempt }, 'the state log did not take a record; trying again');
      await clock.sleep(backoffMs(attempt, RETRY, random), stopped).catch(() => undefined);
    }
    return undefined;
  }

  async #tryAppend(append: Append): Promise<Appended | Failure> {
    const { record } = append;
    const options = this.#optionsOf(append);
    try {
      return await this.#options.log.append(record, options);
    } catch (error) {
      const failure = Failure.from(error);
      if (failure.reason !== 'WRONG_SEQUENCE') return failure;
      return this.#ownAfterAll(record, options.messageId).catch(Failure.from);
    }
  }

  async #ownAfterAll(record: LogRecord, messageId: string): Promise<Appended> {
    const last = await this.#options.log.last(record.key);
    if (last !== undefined && isSameRecord(last.record, record))
      return { sequence: last.sequence, event: { id: messageId, vector: VersionVector.EMPTY } };
    throw new Failure(
      'FAILED_PRECONDITION',
      `another writer has appended to ${record.key}: only one sync service may write a region's state log`,
      { reason: 'ANOTHER_WRITER' },
    );
  }
}

function isSameRecord(a: LogRecord, b: LogRecord): boolean {
  const bytes = (record: LogRecord) => toBinary(LogRecordSchema, create(LogRecordSchema, encodeLogRecord(record)));
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}
