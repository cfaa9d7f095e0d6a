import { type Envelope, type EventType, parseSubject, type StreamName } from '@meridian/contracts';
import { assert, Failure } from '@meridian/failure';
import { attributeNames, type Clock, type Logger } from '@meridian/runtime';
import type { Counter, Meter } from '@opentelemetry/api';
import { disconnected, noResponders } from './ask-failures.ts';
import { noPubAck, PUBLISH_TIMEOUT_MS, runReceipts } from './durable-publish.ts';
import type { Emitter } from './emitter.ts';
import { encodeEvent } from './event-codec.ts';
import type { InMemoryBroker, InMemoryMessage } from './in-memory-broker.ts';
import { InMemoryPullConsumer } from './in-memory-pull-consumer.ts';
import type { AppendOptions, NewEntry, StoredEntry } from './in-memory-stream.ts';
import { Inspector, wantedTypes } from './inspector.ts';
import { Intake } from './intake.ts';
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
import { Questions } from './questions.ts';
import { Responder, readAnswer } from './responder.ts';
import { storedMessage } from './stored-message.ts';
import { inTraceOf } from './trace-scope.ts';

export interface InMemoryBusOptions {
  readonly broker: InMemoryBroker;
  readonly emitter: Emitter;
  /** Name of the role: its `serve` calls share their requests. */
  readonly role: string;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly clock: Clock;
}

const NOTHING_TO_FORGET = (): void => undefined;

/** The port without a broker process, for tests and simulations; it passes the same contract. */
export class InMemoryBus implements MessageBus {
  readonly region: string;
  readonly #options: InMemoryBusOptions;
  readonly #broker: InMemoryBroker;
  readonly #inspector: Inspector;
  readonly #questions: Questions;
  readonly #intake: Intake;
  readonly #dropped: Counter;
  readonly #lostListeners = new Set<() => void>();
  readonly #unlisten: () => void;
  #closed = false;

  constructor(options: InMemoryBusOptions) {
    this.region = options.emitter.region;
    this.#options = options;
    this.#broker = options.broker;
    this.#inspector = new Inspector(options);
    this.#questions = new Questions(options.clock);
    this.#intake = new Intake(options.clock);
    this.#dropped = options.meter.createCounter('meridian.messaging.dropped');
    this.#unlisten = this.#broker.onStatus(this.region, (status) => {
      if (status === 'disconnected') this.#lose();
    });
  }

  get connected(): boolean {
    return !this.#closed && this.#broker.isUp(this.region);
  }

  publish<T extends EventType>(subject: string, event: Outgoing<T>): Envelope {
    const encoded = encodeEvent(this.#options.emitter, subject, event);
    if (!this.connected) this.#dropped.add(1, { [attributeNames.reason]: 'DISCONNECTED' });
    else {
      const message = { subject, headers: encoded.headers, data: encoded.data };
      this.#broker.publish(this.region, message);
      void this.#append(message, {}, PUBLISH_TIMEOUT_MS).catch(() => undefined);
    }
    return encoded.envelope;
  }

  async publishDurable<T extends EventType>(
    subject: string,
    event: Outgoing<T>,
    options: PublishDurableOptions = {},
  ): Promise<Published> {
    const { envelope, headers, data } = encodeEvent(this.#options.emitter, subject, event);
    this.#mustBeConnected();
    const message = { subject, headers, data };
    this.#broker.publish(this.region, message);
    return { envelope, ...(await this.#append(message, options, options.timeoutMs ?? PUBLISH_TIMEOUT_MS)) };
  }

  async publishRun<T extends EventType>(
    events: readonly DurableEvent<T>[],
    { timeoutMs = PUBLISH_TIMEOUT_MS }: Pick<PublishDurableOptions, 'timeoutMs'> = {},
  ): Promise<readonly Published[]> {
    const encoded = events.map(({ subject, event }) => encodeEvent(this.#options.emitter, subject, event));
    this.#mustBeConnected();
    const receipts = events.map((one, i) => {
      const { headers = [], data = new Uint8Array(0) } = encoded[i] ?? {};
      const message = { subject: one.subject, headers, data };
      this.#broker.publish(this.region, message);
      return this.#append(message, { ...one, behindMessageId: events[i - 1]?.messageId }, timeoutMs);
    });
    for (const receipt of receipts) receipt.catch(() => undefined); // that of the last says it for all
    const last = await receipts.at(-1);
    if (last === undefined) return [];
    return runReceipts(
      encoded.map(({ envelope }) => envelope),
      last,
    );
  }

  async request<T extends EventType, R extends EventType>(
    subject: string,
    event: Outgoing<T>,
    replyType: R,
    options: RequestOptions,
  ): Promise<Incoming<R>> {
    const { headers, data } = encodeEvent(this.#options.emitter, subject, event);
    this.#mustBeConnected();
    const answer = await this.#questions.ask<Pick<NewEntry, 'headers' | 'data'>>(
      (settle) => {
        const heard = this.#broker.publish(this.region, { subject, headers, data, reply: settle });
        if (!heard) settle(noResponders(subject));
        return NOTHING_TO_FORGET;
      },
      options.timeoutMs,
      options.signal,
    );
    return readAnswer(this.#inspector, storedMessage({ ...answer, subject }), subject, replyType);
  }

  subscribe<T extends EventType>(
    subjectPattern: string,
    type: T | readonly T[],
    handler: (message: Incoming<T>) => void,
  ): Subscription {
    assert(parseSubject(subjectPattern.replaceAll('*', 'x')) !== undefined, `${subjectPattern} is of the table`);
    const wanted = wantedTypes(type);
    return this.#listen(
      subjectPattern,
      undefined,
      async () => undefined,
      (message) => {
        const verdict = this.#inspector.inspect(storedMessage(message), wanted);
        if (typeof verdict !== 'string') this.#handle(verdict, handler);
      },
    );
  }

  serve<T extends EventType, R extends EventType>(
    subject: string,
    type: T,
    handler: (message: Incoming<T>) => Promise<Outgoing<R>>,
  ): Subscription {
    const { emitter, logger, role } = this.#options;
    const responder = new Responder({ emitter, inspector: this.#inspector, logger }, subject, type, handler);
    return this.#listen(
      subject,
      role,
      () => responder.drained(),
      (message) => {
        const { reply, from } = message;
        if (reply === undefined) return;
        responder.respond(storedMessage(message), (answer) =>
          this.#broker.carry(this.region, from, () => reply(answer)),
        );
      },
    );
  }

  async consumer<T extends EventType>(stream: StreamName, options: ConsumerOptions<T>): Promise<PullConsumer<T>> {
    this.#mustBeConnected();
    return new InMemoryPullConsumer({
      consumer: this.#broker.consumer(this.region, stream, options),
      inspector: this.#inspector,
      clock: this.#options.clock,
      wanted: wantedTypes(options.type),
      isConnected: () => this.connected,
      onLost: (listener) => {
        this.#lostListeners.add(listener);
        return () => this.#lostListeners.delete(listener);
      },
    });
  }

  lastBySubject<T extends EventType>(
    stream: StreamName,
    filter: string,
    type: T | readonly T[],
    onInvalid: (place: StoredPlace) => void = () => undefined,
  ): AsyncGenerator<Stored<T>, void, undefined> {
    return this.#read(type, () => this.#broker.stream(this.region, stream).lastEntries(filter), onInvalid);
  }

  allBySubject<T extends EventType>(
    stream: StreamName,
    filter: string,
    type: T | readonly T[],
  ): AsyncGenerator<Stored<T>, void, undefined> {
    return this.#read(type, () => this.#broker.stream(this.region, stream).allEntries(filter));
  }

  async getLast<T extends EventType>(
    stream: StreamName,
    subject: string,
    type: T | readonly T[],
  ): Promise<Stored<T> | undefined> {
    this.#mustBeConnected();
    const entry = this.#broker.stream(this.region, stream).lastOf(subject);
    if (entry === undefined) return undefined;
    const verdict = this.#inspector.inspect(storedMessage(entry), wantedTypes(type), true);
    if (typeof verdict === 'string')
      throw new Failure('DATA_LOSS', `the last message of ${subject} is not what is expected there`, {
        reason: 'STORED_INVALID',
      });
    return { ...verdict, sequence: entry.sequence };
  }

  async purge(stream: StreamName, subject: string, options: { readonly untilSequence?: number } = {}): Promise<number> {
    this.#mustBeConnected();
    return this.#broker.stream(this.region, stream).purge(subject, options.untilSequence);
  }

  async streamState(stream: StreamName): Promise<StreamState> {
    this.#mustBeConnected();
    return this.#broker.stream(this.region, stream).state;
  }

  async consumerDepth(stream: StreamName, name: string): Promise<ConsumerDepth | undefined> {
    this.#mustBeConnected();
    return this.#broker.findConsumer(this.region, stream, name)?.pending;
  }

  async deleteConsumers(stream: StreamName): Promise<number> {
    this.#mustBeConnected();
    return this.#broker.deleteConsumers(this.region, stream);
  }

  get brokerLife(): string {
    return this.#broker.lifeOf(this.region);
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    return this.#broker.onStatus(this.region, listener);
  }

  drain(): Promise<void> {
    return this.#intake.drain(() => this.#questions.idle());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unlisten();
    this.#intake.close();
    this.#lose();
  }

  /** What waits for the broker ends. */
  #lose(): void {
    for (const listener of Array.from(this.#lostListeners)) listener();
    this.#questions.failAll();
  }

  #append(message: InMemoryMessage, options: AppendOptions, timeoutMs: number) {
    const { subject } = message;
    const target = this.#broker.streamOf(subject);
    if (target === undefined) return Promise.reject(noPubAck(subject, 'no stream'));
    const { region, stream } = target;
    return this.#questions
      .ask<Omit<Published, 'envelope'>>((settle) => {
        this.#broker.carry(this.region, region, () => {
          const answer = attempt(() => ({
            ...stream.append(message, options),
            stream: stream.row.name,
            domain: region,
          }));
          this.#broker.carry(region, this.region, () => settle(answer));
        });
        return NOTHING_TO_FORGET;
      }, timeoutMs)
      .catch((thrown: unknown) => {
        const failure = Failure.from(thrown);
        throw ['NO_REPLY', 'CONNECTION_LOST'].includes(failure.reason) ? noPubAck(subject, failure) : failure;
      });
  }

  #listen(
    pattern: string,
    queue: string | undefined,
    drained: () => Promise<void>,
    deliver: (message: InMemoryMessage & { readonly from: string }) => void,
  ): Subscription {
    const unsubscribe = this.#broker.listen({ region: this.region, pattern, queue, deliver });
    return this.#intake.add({
      unsubscribe,
      drain: async () => {
        unsubscribe();
        await drained();
      },
    });
  }

  #handle<T extends EventType>(message: Incoming<T>, handler: (message: Incoming<T>) => void): void {
    try {
      inTraceOf(message.envelope, () => handler(message));
    } catch (thrown) {
      this.#options.logger.error({ err: thrown, subject: message.subject }, 'a message handler failed');
    }
  }

  async *#read<T extends EventType>(
    type: T | readonly T[],
    entries: () => readonly StoredEntry[],
    onInvalid: (place: StoredPlace) => void = () => undefined,
  ): AsyncGenerator<Stored<T>, void, undefined> {
    this.#mustBeConnected();
    const wanted = wantedTypes(type);
    for (const entry of entries()) {
      const verdict = this.#inspector.inspect(storedMessage(entry), wanted, true);
      if (typeof verdict !== 'string') yield { ...verdict, sequence: entry.sequence };
      else if (verdict === 'invalid') onInvalid({ subject: entry.subject, sequence: entry.sequence });
      this.#mustBeConnected();
    }
  }

  #mustBeConnected(): void {
    if (!this.connected) throw disconnected();
  }
}

function attempt<R>(act: () => R): R | Failure {
  try {
    return act();
  } catch (thrown) {
    return Failure.from(thrown);
  }
}
