import { TIMESTAMP_ZERO, VersionVector } from '@meridian/causality';
import { parseSubject, subject } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { DurableEvent, MessageBus, StoredPlace } from '@meridian/messaging';
import type { Logger, Random } from '@meridian/runtime';
import { fittingCause } from '../codec/fitting-cause.ts';
import { decodeLogRecord, encodeLogRecord } from '../codec/replication-codec.ts';
import { type LogRecord, META_KEY, type StoredRecord } from '../replication/protocol.ts';
import { NO_META } from '../replication/state-log.ts';
import type { Appended, AppendOptions, LogContent, StateLog } from '../replicator/ports.ts';

const TYPE = 'meridian.state.record.v1';
/** The broker is in the same region: an answer that takes longer is lost. */
const APPEND_TIMEOUT_MS = 2_000;
const NOTHING = { lineage: { actor: undefined, counter: 0 }, clock: VersionVector.EMPTY, last: TIMESTAMP_ZERO };

/**
 * The log on stream STATE: one subject a key, of which the stream keeps the last message.
 *
 * 1. Nothing is changed in a log other than the one that was read: a broker that comes back is asked first which it has.
 *    The stream itself does not tell: nats-server 2.9 changes the time of its creation with later starts.
 */
export class NatsStateLog implements StateLog {
  readonly #bus: MessageBus;
  readonly #logger: Logger;
  readonly #random: Random;
  #identity = '';
  /** Of the broker, when it was last asked. */
  #askedLife: string | undefined;
  #asking: Promise<void> | undefined;

  constructor(bus: MessageBus, { logger, random }: { readonly logger: Logger; readonly random: Random }) {
    this.#bus = bus;
    this.#logger = logger;
    this.#random = random;
  }

  async recover(): Promise<LogContent> {
    const { brokerLife } = this.#bus;
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
    const isComplete = records.size === messages;
    this.#identity = await this.#identify(records, unreadable);
    this.#askedLife = brokerLife;
    return { records: [...records.values()], unreadable, isComplete, identity: this.#identity };
  }

  /** @returns what its meta record says; a log that has none is given one */
  async #identify(records: Map<string, StoredRecord>, unreadable: Map<string, number>): Promise<string> {
    const found = records.get(META_KEY);
    if (found?.record.meta?.identity !== undefined) return found.record.meta.identity;
    const identity = this.#random.bigint64().toString(16).padStart(16, '0');
    const { lineage, clock, last } = found?.record ?? NOTHING;
    const record = { key: META_KEY, meta: { ...(found?.record.meta ?? NO_META), identity }, lineage, clock, last };
    // One that cannot be read says nothing.
    const expectedSequence = found?.sequence ?? unreadable.get(META_KEY) ?? 0;
    const { sequence } = await this.#store(record, {
      ...{ expectedSequence, cause: undefined },
      messageId: `identity.${identity}`,
    });
    unreadable.delete(META_KEY);
    records.set(META_KEY, { record, sequence });
    return identity;
  }

  async verify(): Promise<void> {
    if (this.#bus.brokerLife === this.#askedLife) return;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  async #ask(): Promise<void> {
    const { brokerLife } = this.#bus;
    const { record } = (await this.last(META_KEY).catch(unverified)) ?? {};
    const identity = record?.meta?.identity;
    if (identity !== this.#identity)
      throw new Failure(
        'FAILED_PRECONDITION',
        `the store of the state log was lost: this process has read the log ${this.#identity}, the broker has ${identity ?? 'an empty one'}. The next start gets the state back from the other regions`,
        { reason: 'LOG_REPLACED' },
      );
    this.#askedLife = brokerLife;
  }

  async append(record: LogRecord, options: AppendOptions): Promise<Appended> {
    await this.verify();
    return this.#store(record, options);
  }

  async #store(record: LogRecord, options: AppendOptions): Promise<Appended> {
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
    await this.verify();
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
    await this.verify();
    await this.#bus.purge('STATE', this.#subject(key), { untilSequence: sequence });
  }

  async clear(): Promise<void> {
    await this.verify();
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

/** A record that cannot be read will not be readable later: the next start deals with it. */
function unverified(cause: unknown): never {
  if (Failure.from(cause).code === 'DATA_LOSS') throw cause;
  throw new Failure('UNAVAILABLE', 'the broker does not say which state log it has', {
    ...{ reason: 'LOG_UNVERIFIED', cause },
  });
}
