import { parseSubject, subject } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { DurableEvent, MessageBus, StoredPlace } from '@meridian/messaging';
import type { Logger } from '@meridian/runtime';
import { fittingCause } from '../codec/fitting-cause.ts';
import { decodeLogRecord, encodeLogRecord } from '../codec/replication-codec.ts';
import type { LogRecord, StoredRecord } from '../replication/protocol.ts';
import type { LogContents } from '../replication/state-log.ts';
import type { Appended, AppendOptions, StateLog } from '../replicator/ports.ts';

const TYPE = 'meridian.state.record.v1';
/** The broker is in the same region: an answer that takes longer is lost. */
const APPEND_TIMEOUT_MS = 2_000;

/** The log on stream STATE: one subject a key, of which the stream keeps the last message. */
export class NatsStateLog implements StateLog {
  readonly #bus: MessageBus;
  readonly #logger: Logger;

  constructor(bus: MessageBus, logger: Logger) {
    this.#bus = bus;
    this.#logger = logger;
  }

  async recover(): Promise<LogContents> {
    const records = new Map<string, StoredRecord>();
    const unreadable = new Map<string, number>();
    const cannotRead = ({ subject: at, sequence }: StoredPlace, error: unknown) => {
      this.#logger.error({ err: error, subject: at, sequence }, 'a record of the state log cannot be read');
      const key = parseSubject(at)?.parts.key;
      if (key === undefined) return;
      records.delete(key);
      unreadable.set(key, sequence);
    };
    const filter = subject('state', { origin: this.#bus.region, key: '*' });
    const invalid = (place: StoredPlace) => cannotRead(place, new Error('it is not a record'));
    for await (const stored of this.#bus.lastBySubject('STATE', filter, TYPE, invalid)) {
      try {
        const record = decodeLogRecord(stored.data);
        if (this.#subject(record.key) !== stored.subject) throw new Error('the key is not that of the subject');
        unreadable.delete(record.key);
        records.set(record.key, { record, sequence: stored.sequence });
      } catch (error) {
        cannotRead(stored, error);
      }
    }
    // Of what is on no key's subject only the stream knows how many there are.
    const { messages } = await this.#bus.streamState('STATE');
    return { records: [...records.values()], unreadable, isComplete: records.size === messages };
  }

  async append(record: LogRecord, options: AppendOptions): Promise<Appended> {
    const { subject: to, event, ...expected } = this.#message(record, options);
    const { envelope, sequence } = await this.#bus.publishDurable(to, event, {
      ...expected,
      timeoutMs: APPEND_TIMEOUT_MS,
    });
    return { sequence, event: envelope };
  }

  async appendRun(
    appends: readonly { readonly record: LogRecord; readonly options: AppendOptions }[],
  ): Promise<readonly Appended[]> {
    const events = appends.map(({ record, options }) => this.#message(record, options));
    const published = await this.#bus.publishRun(events, { timeoutMs: APPEND_TIMEOUT_MS });
    return published.map(({ envelope, sequence }) => ({ sequence, event: envelope }));
  }

  #message(record: LogRecord, { cause, messageId, expectedSequence }: AppendOptions): DurableEvent<typeof TYPE> {
    const causes = cause === undefined ? {} : { causes: [fittingCause(cause, record.clock)] };
    return {
      subject: this.#subject(record.key),
      event: { type: TYPE, data: encodeLogRecord(record), ...causes },
      messageId,
      expectedLastSubjectSequence: expectedSequence,
    };
  }

  async forget(key: string, sequence: number): Promise<void> {
    await this.#bus.purge('STATE', this.#subject(key), { untilSequence: sequence });
  }

  async clear(): Promise<void> {
    await this.#bus.purge('STATE', this.#subject('*'));
  }

  async last(key: string): Promise<StoredRecord | undefined> {
    const stored = await this.#bus.getLast('STATE', this.#subject(key), TYPE);
    if (stored === undefined) return undefined;
    try {
      return { record: decodeLogRecord(stored.data), sequence: stored.sequence };
    } catch (cause) {
      throw new Failure('DATA_LOSS', `the last record of ${key} cannot be read`, {
        reason: 'RECORD_UNREADABLE',
        cause,
      });
    }
  }

  #subject(key: string): string {
    return subject('state', { origin: this.#bus.region, key });
  }
}
