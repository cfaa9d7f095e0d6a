import { type Envelope, type EventType, parseSubject, type Role, type StreamName } from '@meridian/contracts';
import { assert, Failure } from '@meridian/failure';
import { attributeNames, type Clock, type Logger } from '@meridian/runtime';
import type { Counter, Meter } from '@opentelemetry/api';
import {
  noPubAck,
  PUBLISH_TIMEOUT_MS,
  publishHeaders,
  readPubAck,
  runHeaders,
  runReceipts,
} from './durable-publish.ts';
import type { Emitter } from './emitter.ts';
import { encodeEvent } from './event-codec.ts';
import { Inspector, wantedTypes } from './inspector.ts';
import { Intake } from './intake.ts';
import { JetStreamApi } from './jetstream-api.ts';
import type {
  BusStatus,
  ConsumerDepth,
  ConsumerOptions,
  DurableEvent,
  Incoming,
  MessageBus,
  Outgoing,
  PublishDurableOptions,
  Published,
  PullConsumer,
  RequestOptions,
  Stored,
  StoredPlace,
  StreamState,
  Subscription,
} from './message-bus.ts';
import { dialNats, type NatsDialOptions } from './nats-dial.ts';
import { natsHeaders, rawMessage } from './nats-message.ts';
import { createPullConsumer } from './nats-pull-consumer.ts';
import { NatsSession, type OutgoingMessage, sendFailure } from './nats-session.ts';
import { type ReadMode, readLastOf, readStream } from './nats-stream-reader.ts';
import { Responder, readAnswer } from './responder.ts';
import { inTraceOf } from './trace-scope.ts';

export interface NatsBusOptions extends Omit<NatsDialOptions, 'region'> {
  readonly emitter: Emitter;
  readonly meter: Meter;
}

/** @throws Failure UNAUTHENTICATED; UNAVAILABLE / BROKER_UNREACHABLE when none answers before the deadline. */
export async function connectNats(options: NatsBusOptions): Promise<NatsBus> {
  const connection = await dialNats({ ...options, region: options.emitter.region });
  const session = new NatsSession(connection, {
    inboxPrefix: `_INBOX_${options.role}`,
    logger: options.logger,
    clock: options.clock,
  });
  return new NatsBus(session, options);
}

/** The port on a broker. Which subjects each method publishes to is listed in infra/nats: the permissions follow it. */
export class NatsBus implements MessageBus {
  readonly region: string;
  /** Resolves when the connection has ended for good: with an error if not by `close`. */
  readonly closed: Promise<Error | undefined>;
  readonly #session: NatsSession;
  readonly #api: JetStreamApi;
  readonly #emitter: Emitter;
  readonly #inspector: Inspector;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #role: Role;
  readonly #dropped: Counter;
  readonly #intake: Intake;

  constructor(session: NatsSession, options: NatsBusOptions) {
    this.#session = session;
    this.#api = new JetStreamApi(session);
    this.#emitter = options.emitter;
    this.#inspector = new Inspector(options);
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#role = options.role;
    this.#intake = new Intake(options.clock);
    this.#dropped = options.meter.createCounter('meridian.messaging.dropped', {
      description: 'Events that were published while the broker could not take them',
    });
    this.region = options.emitter.region;
    this.closed = session.closed;
  }

  get connected(): boolean {
    return this.#session.connected;
  }

  publish<T extends EventType>(subject: string, event: Outgoing<T>): Envelope {
    const { envelope, headers, data } = encodeEvent(this.#emitter, subject, event);
    const result = this.#session.send({ subject, data, headers: natsHeaders(headers) });
    if (result !== 'sent') this.#dropped.add(1, { [attributeNames.reason]: result });
    return envelope;
  }

  async publishDurable<T extends EventType>(
    subject: string,
    event: Outgoing<T>,
    options: PublishDurableOptions = {},
  ): Promise<Published> {
    const { envelope, headers, data } = encodeEvent(this.#emitter, subject, event);
    const message = { subject, data, headers: natsHeaders(headers, publishHeaders(options)) };
    return { envelope, ...(await this.#askForReceipt(message, options.timeoutMs)) };
  }

  async publishRun<T extends EventType>(
    events: readonly DurableEvent<T>[],
    { timeoutMs = PUBLISH_TIMEOUT_MS }: Pick<PublishDurableOptions, 'timeoutMs'> = {},
  ): Promise<readonly Published[]> {
    const encoded = events.map((one, i) => {
      const { envelope, headers, data } = encodeEvent(this.#emitter, one.subject, one.event);
      const sent = natsHeaders(headers, runHeaders(events, i));
      return { envelope, message: { subject: one.subject, data, headers: sent } };
    });
    const last = encoded.at(-1);
    if (last === undefined) return [];
    for (const { message } of encoded.slice(0, -1)) {
      const result = this.#session.send(message);
      if (result !== 'sent') throw sendFailure(result);
    }
    const receipt = await this.#askForReceipt(last.message, timeoutMs);
    return runReceipts(
      encoded.map(({ envelope }) => envelope),
      receipt,
    );
  }

  async #askForReceipt(
    message: Omit<OutgoingMessage, 'reply'>,
    timeoutMs = PUBLISH_TIMEOUT_MS,
  ): Promise<Omit<Published, 'envelope'>> {
    const { subject } = message;
    try {
      const answer = await this.#session.ask(message, timeoutMs);
      const { stream, domain, seq, duplicate = false } = readPubAck(answer.json(), subject);
      return { stream, domain, sequence: seq, duplicate };
    } catch (thrown) {
      throw durableFailure(thrown, subject);
    }
  }

  async request<T extends EventType, R extends EventType>(
    subject: string,
    event: Outgoing<T>,
    replyType: R,
    options: RequestOptions,
  ): Promise<Incoming<R>> {
    const { headers, data } = encodeEvent(this.#emitter, subject, event);
    const message = { subject, data, headers: natsHeaders(headers) };
    const answer = await this.#session.ask(message, options.timeoutMs, options.signal);
    return readAnswer(this.#inspector, rawMessage(answer), subject, replyType);
  }

  subscribe<T extends EventType>(
    subjectPattern: string,
    type: T | readonly T[],
    handler: (message: Incoming<T>) => void,
  ): Subscription {
    assert(parseSubject(subjectPattern.replaceAll('*', 'x')) !== undefined, `${subjectPattern} is of the table`);
    const wanted = wantedTypes(type);
    const subscription = this.#session.subscribe(subjectPattern, (message) => {
      const verdict = this.#inspector.inspect(rawMessage(message), wanted);
      if (typeof verdict !== 'string') inTraceOf(verdict.envelope, () => handler(verdict));
    });
    return this.#intake.add(subscription);
  }

  serve<T extends EventType, R extends EventType>(
    subject: string,
    type: T,
    handler: (message: Incoming<T>) => Promise<Outgoing<R>>,
  ): Subscription {
    const options = { emitter: this.#emitter, inspector: this.#inspector, logger: this.#logger };
    const responder = new Responder(options, subject, type, handler);
    const onRequest = (message: Parameters<typeof rawMessage>[0]): void => {
      const reply = message.reply;
      if (!reply) return;
      responder.respond(rawMessage(message), (answer) => {
        this.#session.send({ subject: reply, data: answer.data, headers: natsHeaders(answer.headers) });
      });
    };
    const subscription = this.#session.subscribe(subject, onRequest, this.#role);
    return this.#intake.add({
      unsubscribe: () => subscription.unsubscribe(),
      drain: async () => {
        await subscription.drain();
        await responder.drained();
      },
    });
  }

  consumer<T extends EventType>(stream: StreamName, options: ConsumerOptions<T>): Promise<PullConsumer<T>> {
    return createPullConsumer(
      {
        session: this.#session,
        api: this.#api,
        inspector: this.#inspector,
        logger: this.#logger,
        clock: this.#clock,
        stream,
        name: options.name,
        wanted: wantedTypes(options.type),
      },
      options,
    );
  }

  lastBySubject<T extends EventType>(
    stream: StreamName,
    filter: string,
    type: T | readonly T[],
    onInvalid?: (place: StoredPlace) => void,
  ): AsyncIterable<Stored<T>> {
    return this.#read(stream, filter, type, 'last', onInvalid);
  }

  allBySubject<T extends EventType>(
    stream: StreamName,
    filter: string,
    type: T | readonly T[],
  ): AsyncIterable<Stored<T>> {
    return this.#read(stream, filter, type, 'all');
  }

  getLast<T extends EventType>(
    stream: StreamName,
    subject: string,
    type: T | readonly T[],
  ): Promise<Stored<T> | undefined> {
    return readLastOf(this.#api, this.#inspector, stream, subject, wantedTypes(type));
  }

  purge(stream: StreamName, subject: string, options: { readonly untilSequence?: number } = {}): Promise<number> {
    return this.#api.purge(stream, subject, options.untilSequence);
  }

  async streamState(stream: StreamName): Promise<StreamState> {
    const { state } = await this.#api.streamInfo(stream);
    return { messages: state.messages, bytes: state.bytes, lastSequence: state.last_seq };
  }

  async consumerDepth(stream: StreamName, name: string): Promise<ConsumerDepth | undefined> {
    const info = await this.#api.findConsumer(stream, name);
    return info && { waiting: info.num_pending, unacked: info.num_ack_pending };
  }

  async deleteConsumers(stream: StreamName): Promise<number> {
    const names = await this.#api.consumerNames(stream);
    const gone = await Promise.all(names.map((name) => this.#api.deleteConsumer(stream, name)));
    return gone.filter(Boolean).length;
  }

  get brokerLife(): string {
    return this.#session.serverId;
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    return this.#session.onStatus(listener);
  }

  drain(): Promise<void> {
    return this.#intake.drain(() => this.#session.idle());
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  #read<T extends EventType>(
    stream: StreamName,
    filter: string,
    type: T | readonly T[],
    mode: ReadMode,
    onInvalid: (place: StoredPlace) => void = () => undefined,
  ): AsyncIterable<Stored<T>> {
    return readStream({
      session: this.#session,
      api: this.#api,
      inspector: this.#inspector,
      clock: this.#clock,
      stream,
      filter,
      mode,
      wanted: wantedTypes(type),
      onInvalid,
    });
  }
}

/** For a durable publish it matters only whether the event may be stored: no answer is NO_PUBACK, whatever the reason. */
function durableFailure(thrown: unknown, subject: string): Failure {
  const failure = thrown instanceof SyntaxError ? noPubAck(subject, thrown) : Failure.from(thrown);
  const unanswered = ['NO_REPLY', 'NO_RESPONDERS', 'CONNECTION_LOST'];
  return unanswered.includes(failure.reason) ? noPubAck(subject, failure) : failure;
}
