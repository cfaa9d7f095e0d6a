import { Failure } from '@meridian/failure';
import type { Msg } from '@nats-io/transport-node';
import type { NatsSession } from './nats-session.ts';

/** Longest wait for an answer of the JetStream API of the own broker. */
const API_TIMEOUT_MS = 5000;

/** `err_code` values of nats-server that mean something to callers. */
export const ERROR_CODES = {
  consumerNotFound: 10014,
  noMessageFound: 10037,
  messageTooLarge: 10054,
  streamNameInUse: 10058,
  streamNotFound: 10059,
  wrongLastMessageId: 10070,
  wrongLastSequence: 10071,
  storeFailed: 10077,
  insufficientResources: 10023,
  storageExceeded: 10047,
} as const;

export interface ApiError {
  readonly code: number;
  readonly err_code: number;
  readonly description: string;
}

export interface PubAck {
  readonly stream: string;
  readonly domain?: string;
  readonly seq: number;
  readonly duplicate?: boolean;
}

export interface StreamInfo {
  readonly config: Readonly<Record<string, unknown>>;
  readonly state: { readonly messages: number; readonly bytes: number; readonly last_seq: number };
}

export interface ConsumerInfo {
  readonly config: ConsumerConfig;
  readonly num_pending: number;
  readonly num_ack_pending: number;
}

/** Base64 in JSON, as the API returns a stored message. */
export interface StoredMessage {
  readonly message: { readonly subject: string; readonly seq: number; readonly hdrs?: string; readonly data?: string };
}

/** Fields are nats-server's; durations in nanoseconds. */
export interface ConsumerConfig {
  readonly name: string;
  readonly durable_name?: string;
  readonly ack_policy: 'explicit' | 'none';
  readonly deliver_policy: 'all' | 'last_per_subject' | 'by_start_sequence';
  readonly opt_start_seq?: number;
  readonly replay_policy: 'instant';
  readonly filter_subject: string;
  readonly ack_wait?: number;
  readonly max_deliver?: number;
  readonly max_ack_pending?: number;
  readonly max_waiting?: number;
  readonly inactive_threshold?: number;
  readonly mem_storage?: boolean;
  readonly num_replicas?: number;
}

/**
 * The calls of `$JS.API` that Meridian makes, and no others: the brokers' permissions list them.
 * @throws Failure of the session's `ask` (an answer that does not come is UNAVAILABLE / NO_ANSWER), and what
 * `apiFailure` makes of a refusal.
 */
export class JetStreamApi {
  readonly #session: NatsSession;

  constructor(session: NatsSession) {
    this.#session = session;
  }

  async createConsumer(stream: string, config: ConsumerConfig): Promise<ConsumerInfo> {
    const subject = `CONSUMER.CREATE.${stream}.${config.name}.${config.filter_subject}`;
    return (await this.#call(subject, { stream_name: stream, config })) as ConsumerInfo;
  }

  async consumerInfo(stream: string, consumer: string): Promise<ConsumerInfo> {
    return (await this.#call(`CONSUMER.INFO.${stream}.${consumer}`)) as ConsumerInfo;
  }

  /** @returns undefined when there is none */
  async findConsumer(stream: string, consumer: string): Promise<ConsumerInfo | undefined> {
    try {
      return await this.consumerInfo(stream, consumer);
    } catch (thrown) {
      if (thrown instanceof Failure && thrown.reason === 'CONSUMER_MISSING') return undefined;
      throw thrown;
    }
  }

  /** The first page of them, which is more than a work queue has. */
  async consumerNames(stream: string): Promise<readonly string[]> {
    const answer = (await this.#call(`CONSUMER.NAMES.${stream}`, { offset: 0 })) as { consumers: string[] | null };
    return answer.consumers ?? [];
  }

  /** @returns false when there is none (any more) */
  async deleteConsumer(stream: string, consumer: string): Promise<boolean> {
    try {
      return ((await this.#call(`CONSUMER.DELETE.${stream}.${consumer}`)) as { success: boolean }).success;
    } catch (thrown) {
      if (thrown instanceof Failure && thrown.reason === 'CONSUMER_MISSING') return false;
      throw thrown;
    }
  }

  async streamInfo(stream: string): Promise<StreamInfo> {
    return (await this.#call(`STREAM.INFO.${stream}`)) as StreamInfo;
  }

  async createStream(config: { readonly name: string } & Readonly<Record<string, unknown>>): Promise<void> {
    await this.#call(`STREAM.CREATE.${config.name}`, config);
  }

  async lastMessage(stream: string, subject: string): Promise<StoredMessage> {
    return (await this.#call(`STREAM.MSG.GET.${stream}`, { last_by_subj: subject })) as StoredMessage;
  }

  /** @param untilSequence the last that goes; default: all */
  async purge(stream: string, filter: string, untilSequence?: number): Promise<number> {
    // The server's `seq` is the first that stays.
    const body = untilSequence === undefined ? { filter } : { filter, seq: untilSequence + 1 };
    return ((await this.#call(`STREAM.PURGE.${stream}`, body)) as { purged: number }).purged;
  }

  async #call(operation: string, body?: unknown): Promise<unknown> {
    const data = body === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(body));
    let answer: Msg;
    try {
      answer = await this.#session.ask({ subject: `$JS.API.${operation}`, data }, API_TIMEOUT_MS);
    } catch (thrown) {
      const failure = Failure.from(thrown);
      if (failure.reason !== 'NO_REPLY' && failure.reason !== 'NO_RESPONDERS') throw failure;
      throw new Failure('UNAVAILABLE', 'JetStream does not answer', { reason: 'NO_ANSWER', cause: failure });
    }
    const result: { error?: ApiError } = answer.json();
    if (result.error !== undefined) throw apiFailure(result.error, operation);
    return result;
  }
}

export function apiFailure(error: ApiError, operation: string): Failure {
  const details = { operation, errorCode: String(error.err_code) };
  switch (error.err_code) {
    case ERROR_CODES.streamNotFound:
      return new Failure('NOT_FOUND', `no such stream (${operation})`, { reason: 'STREAM_MISSING', details });
    case ERROR_CODES.consumerNotFound:
      return new Failure('NOT_FOUND', `no such consumer (${operation})`, { reason: 'CONSUMER_MISSING', details });
    case ERROR_CODES.noMessageFound:
      return new Failure('NOT_FOUND', 'no message has this subject', { reason: 'MESSAGE_MISSING', details });
  }
  // 503: JetStream is starting, stopping or has no leader.
  if (error.code === 503)
    return new Failure('UNAVAILABLE', `JetStream: ${error.description}`, { reason: 'NO_ANSWER', details });
  return new Failure('FAILED_PRECONDITION', `JetStream refuses ${operation}: ${error.description}`, {
    reason: 'JETSTREAM_REFUSES',
    details,
  });
}

/** Milliseconds as JetStream's nanoseconds. */
export function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}

export interface DeliveryInfo {
  readonly deliveryCount: number;
  readonly streamSequence: number;
  readonly consumerSequence: number;
  /** Messages of the consumer that were never delivered yet. */
  readonly pending: number;
}

/** Reads `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<count>.<stream seq>.<consumer seq>.<time>.<pending>[.…]`. */
export function parseAckSubject(subject: string): DeliveryInfo | undefined {
  const tokens = subject.split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK') return undefined;
  const start = tokens.length === 9 ? 4 : 6;
  const info = {
    deliveryCount: Number(tokens[start]),
    streamSequence: Number(tokens[start + 1]),
    consumerSequence: Number(tokens[start + 2]),
    pending: Number(tokens[start + 4]),
  };
  return Object.values(info).every(Number.isSafeInteger) ? info : undefined;
}
