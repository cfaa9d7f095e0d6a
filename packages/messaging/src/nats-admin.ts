import { STREAMS, type StreamName, type StreamRow, SUBJECTS, type SubjectKind, token } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { JetStreamApi, nanoseconds } from './jetstream-api.ts';
import { dialNats, type NatsDialOptions } from './nats-dial.ts';
import { NatsSession } from './nats-session.ts';

/** nats-server's fields of a stream's configuration that Meridian decides; the others keep their defaults. */
type StreamConfig = { readonly name: string } & Readonly<Record<string, unknown>>;

/** Creates and checks a region's streams. Needs the initializer's permissions. */
export class NatsAdmin {
  readonly #session: NatsSession;
  readonly #api: JetStreamApi;

  private constructor(session: NatsSession) {
    this.#session = session;
    this.#api = new JetStreamApi(session);
  }

  static async connect(options: NatsDialOptions): Promise<NatsAdmin> {
    const { role, logger, clock } = options;
    const session = new NatsSession(await dialNats(options), { inboxPrefix: `_INBOX_${role}`, logger, clock });
    return new NatsAdmin(session);
  }

  /**
   * Creates what is missing, on `replicas` brokers (default 1); what exists as it should is left alone.
   * @throws Failure FAILED_PRECONDITION / STREAM_DIFFERENT naming stream and fields; a stream is never changed here.
   */
  async createStreams(region: string, options: { readonly replicas?: number } = {}): Promise<void> {
    for (const row of STREAMS) {
      const wanted = streamConfig(row, region);
      const actual = await this.#config(row.name);
      if (actual === undefined) await this.#api.createStream({ ...wanted, num_replicas: options.replicas ?? 1 });
      else checkSame(wanted, actual);
    }
  }

  /**
   * A wrong storage key or an emptied store does not stop a broker: its streams are just not there.
   * @param names of the streams that must be there; default: all of the table
   * @throws Failure FAILED_PRECONDITION / STREAM_MISSING or STREAM_DIFFERENT, naming the stream.
   */
  async verify(region: string, names: readonly StreamName[] = STREAMS.map(({ name }) => name)): Promise<void> {
    for (const row of STREAMS.filter(({ name }) => names.includes(name))) {
      const actual = await this.#config(row.name);
      if (actual === undefined)
        throw new Failure('FAILED_PRECONDITION', `region ${region} has no stream ${row.name}`, {
          reason: 'STREAM_MISSING',
          details: { stream: row.name, region },
        });
      checkSame(streamConfig(row, region), actual);
    }
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  async #config(stream: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    try {
      return (await this.#api.streamInfo(stream)).config;
    } catch (thrown) {
      if (thrown instanceof Failure && thrown.reason === 'STREAM_MISSING') return undefined;
      throw thrown;
    }
  }
}

/** The whole configuration of a stream in the region's own domain. */
export function streamConfig(row: StreamRow, region: string): StreamConfig {
  return {
    name: row.name,
    subjects: [streamSubject(row.kind, region)],
    retention: row.retention,
    storage: 'file',
    discard: row.discard,
    max_consumers: -1,
    max_msgs: -1,
    max_msgs_per_subject: row.messagesPerSubjectMax ?? -1,
    max_bytes: row.bytesMax,
    max_msg_size: row.messageBytesMax,
    max_age: nanoseconds(row.ageMaxMs ?? 0),
    duplicate_window: nanoseconds(row.duplicateWindowMs),
    deny_delete: row.denyDelete === true,
    deny_purge: row.denyDelete === true,
    allow_rollup_hdrs: false,
  };
}

/** All subjects of the kind that name the region: `*` for every other part. */
export function streamSubject(kind: SubjectKind, region: string): string {
  return SUBJECTS[kind].pattern.replace(/\{(?:target|origin)\}/, token(region)).replaceAll(/\{\w+\}/g, '*');
}

function checkSame(wanted: StreamConfig, actual: Readonly<Record<string, unknown>>): void {
  const different = Object.keys(wanted).filter(
    // nats-server leaves out false fields of newer versions.
    (field) => JSON.stringify(wanted[field]) !== JSON.stringify(actual[field] ?? false),
  );
  if (different.length === 0) return;
  throw new Failure('FAILED_PRECONDITION', `stream ${wanted.name} is configured differently: ${different.join(', ')}`, {
    reason: 'STREAM_DIFFERENT',
    details: { stream: wanted.name, fields: different.join(',') },
  });
}
