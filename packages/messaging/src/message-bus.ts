import type { MessageInitShape } from '@bufbuild/protobuf';
import type { VersionVector } from '@meridian/causality';
import type { Envelope, EVENT_TYPES, EventData, EventType, StreamName } from '@meridian/contracts';
import type { Context } from '@opentelemetry/api';

/** What led to an event: an `Envelope` is one. */
export interface Cause {
  readonly id: string;
  readonly vector: VersionVector;
}

/** An event to send. The emitter of the bus makes its envelope. */
export interface Outgoing<T extends EventType = EventType> {
  readonly type: T;
  readonly data: MessageInitShape<(typeof EVENT_TYPES)[T]>;
  /** At most 16 ids travel; the vectors of all are merged into the event's. */
  readonly causes?: readonly Cause[];
  /** Default `public`. */
  readonly tenant?: string;
  /** Default: the active OpenTelemetry context. */
  readonly traceContext?: Context;
}

/** A checked event: envelope, type and origin fit the subject, and the data decoded. */
export interface Incoming<T extends EventType = EventType> {
  readonly subject: string;
  readonly type: T;
  readonly envelope: Envelope;
  readonly data: EventData<T>;
}

/** An event as a stream holds it. */
export interface Stored<T extends EventType = EventType> extends Incoming<T> {
  readonly sequence: number;
}

/** Where a stream holds something. */
export type StoredPlace = Pick<Stored, 'subject' | 'sequence'>;

/** Receipt of a stream for an event. */
export interface Published {
  readonly envelope: Envelope;
  readonly stream: string;
  /** JetStream domain that stored it (the region), when the broker names it. */
  readonly domain: string | undefined;
  readonly sequence: number;
  /** The stream had this message id already, and kept the first. */
  readonly duplicate: boolean;
}

/**
 * One delivery of a pull consumer. It must end in exactly one of `ack`, `nak`, `term`, or it comes again after the
 * consumer's ack wait; later calls do nothing. All are sent at most once: one lost with the connection means that
 * the message comes again.
 */
export interface Delivery<T extends EventType = EventType> extends Stored<T> {
  /** 1 for the first. */
  readonly deliveryCount: number;
  ack(): void;
  /** Deliver it again, not before `delayMs`. */
  nak(delayMs: number): void;
  /** Never deliver it again; the reason is for the log. */
  term(reason: string): void;
  /** Starts the ack wait anew. */
  working(): void;
}

export interface Subscription {
  /** No call of the handler begins after this returns. Idempotent. */
  unsubscribe(): void;
}

export interface PublishDurableOptions {
  /** `Nats-Msg-Id`: the stream keeps only the first within its duplicate window (2 min). Default: none, no check. */
  readonly messageId?: string;
  /** Compare-and-set: the sequence of the subject's last message, 0 for none. */
  readonly expectedLastSubjectSequence?: number;
  /** Default 5000. */
  readonly timeoutMs?: number;
}

/** One event of a run. */
export interface DurableEvent<T extends EventType = EventType>
  extends Pick<PublishDurableOptions, 'expectedLastSubjectSequence'> {
  readonly subject: string;
  readonly event: Outgoing<T>;
  /** Never sent before. */
  readonly messageId: string;
}

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface ConsumerSettings {
  /** `[A-Za-z0-9_-]`, at most 128 characters. */
  readonly name: string;
  readonly filter: string;
  readonly ackWaitMs: number;
  /** −1: no limit. */
  readonly maxDeliver: number;
  readonly maxAckPending: number;
}

export interface ConsumerOptions<T extends EventType> extends ConsumerSettings {
  /** Registered types that are not asked for are acknowledged and passed over. */
  readonly type: T | readonly T[];
}

/** Most deliveries of one fetch. */
export const FETCH_MAX = 1000;

export interface PullConsumer<T extends EventType = EventType> {
  /**
   * Up to `max` deliveries (1 … 1000). Ends when it has them or after `expiresMs`; with `expiresMs` 0 at once, with what
   * is there. Leaving the loop early or aborting gives back (nak) what was not taken.
   * @throws Failure UNAVAILABLE / DISCONNECTED when the connection is or gets lost, NOT_FOUND / CONSUMER_MISSING.
   */
  fetch(max: number, expiresMs: number, signal?: AbortSignal): AsyncIterable<Delivery<T>>;
  /** `waiting`: never delivered yet; `unacked`: delivered and not yet ended. */
  pending(): Promise<ConsumerDepth>;
}

export interface ConsumerDepth {
  readonly waiting: number;
  readonly unacked: number;
}

export interface StreamState {
  readonly messages: number;
  readonly bytes: number;
  readonly lastSequence: number;
}

export type BusStatus = 'connected' | 'disconnected';

/**
 * The port to the region's broker: typed events with envelopes, at most once (core) or durable (streams).
 *
 * Sending failures: INVALID_ARGUMENT / MESSAGE_TOO_LARGE; UNAVAILABLE / DISCONNECTED at once while there is no
 * connection (nothing is buffered for later); RESOURCE_EXHAUSTED / BACKLOG_FULL when too much is under way.
 * A message from outside that is not valid is counted, logged and dropped, whatever it holds; it never throws.
 */
export interface MessageBus {
  /** Region of this bus: its streams are the ones read. */
  readonly region: string;
  readonly connected: boolean;

  /** At most once. While disconnected, or when the broker does not keep up, the event is dropped and counted. */
  publish<T extends EventType>(subject: string, event: Outgoing<T>): Envelope;

  /**
   * Resolves when the stream that captures `subject` (of this or another region) has stored the event.
   * @throws Failure ABORTED / WRONG_SEQUENCE (compare-and-set lost), UNAVAILABLE / NO_PUBACK (no answer in time, no
   * stream: the event may be stored all the same), RESOURCE_EXHAUSTED / STREAM_FULL, PERMISSION_DENIED.
   */
  publishDurable<T extends EventType>(
    subject: string,
    event: Outgoing<T>,
    options?: PublishDurableOptions,
  ): Promise<Published>;

  /**
   * Stores events of one stream directly behind each other, each only if the one before it was stored: one receipt says it
   * for all. For who is nearly alone in writing to the stream.
   * @throws Failure as {@link publishDurable}; the first of them may be stored all the same. WRONG_SEQUENCE: one of them was
   * refused or is there already, or somebody else has written meanwhile. Who publishes each by itself then, with its id, loses nothing.
   */
  publishRun<T extends EventType>(
    events: readonly DurableEvent<T>[],
    options?: Pick<PublishDurableOptions, 'timeoutMs'>,
  ): Promise<readonly Published[]>;

  /**
   * Asks and waits for the first answer.
   * @throws Failure UNAVAILABLE / NO_RESPONDERS, DEADLINE_EXCEEDED / NO_REPLY, CANCELLED, or the one that the other side threw.
   */
  request<T extends EventType, R extends EventType>(
    subject: string,
    event: Outgoing<T>,
    replyType: R,
    options: RequestOptions,
  ): Promise<Incoming<R>>;

  /** Every subscriber gets every event. The handler runs in the event's trace context and must not throw. */
  subscribe<T extends EventType>(
    subjectPattern: string,
    type: T | readonly T[],
    handler: (message: Incoming<T>) => void,
  ): Subscription;

  /**
   * Answers requests; replicas of a role share them. A Failure thrown by the handler reaches the asker (code, reason,
   * message, details, retry delay). More than 256 at once are refused with RESOURCE_EXHAUSTED / SERVER_BUSY.
   */
  serve<T extends EventType, R extends EventType>(
    subject: string,
    type: T,
    handler: (message: Incoming<T>) => Promise<Outgoing<R>>,
  ): Subscription;

  /**
   * The durable pull consumer, created when absent; a change of ack wait, deliveries or pending is applied.
   * @throws Failure NOT_FOUND / STREAM_MISSING, FAILED_PRECONDITION / CONSUMER_CONFLICT (another filter, or one that overlaps on a work queue).
   */
  consumer<T extends EventType>(stream: StreamName, options: ConsumerOptions<T>): Promise<PullConsumer<T>>;

  /**
   * The last event of every subject that matches, in order of sequence, and what is written meanwhile. An event that is
   * not valid is counted, logged and left out. Ends when nothing is left.
   * @param onInvalid told in its turn of each event that is left out
   * @throws Failure UNAVAILABLE / DISCONNECTED or READ_INCOMPLETE: start anew.
   */
  lastBySubject<T extends EventType>(
    stream: StreamName,
    filter: string,
    type: T | readonly T[],
    onInvalid?: (place: StoredPlace) => void,
  ): AsyncIterable<Stored<T>>;

  /** Every stored event whose subject matches, otherwise as {@link lastBySubject}: superseded ones, too. */
  allBySubject<T extends EventType>(
    stream: StreamName,
    filter: string,
    type: T | readonly T[],
  ): AsyncIterable<Stored<T>>;

  /** The last event of one subject; undefined when there is none. @throws Failure DATA_LOSS when it is not valid. */
  getLast<T extends EventType>(
    stream: StreamName,
    subject: string,
    type: T | readonly T[],
  ): Promise<Stored<T> | undefined>;

  /** Deletes the subject's messages (wildcards allowed), up to `untilSequence` if given. @returns how many. */
  purge(stream: StreamName, subject: string, options?: { readonly untilSequence?: number }): Promise<number>;
  streamState(stream: StreamName): Promise<StreamState>;
  /** `PullConsumer.pending` of a durable consumer that another client may have made; undefined when there is none. */
  consumerDepth(stream: StreamName, name: string): Promise<ConsumerDepth | undefined>;

  /**
   * Deletes the durable consumers of a stream, and with them what they know of deliveries. Pulls that wait on them end with
   * NOT_FOUND / CONSUMER_MISSING; who makes a consumer anew is given everything that a work queue still holds.
   * @returns how many there were.
   */
  deleteConsumers(stream: StreamName): Promise<number>;
  /** Another text after each start of the broker; empty while it is not known. */
  readonly brokerLife: string;

  /** @returns a function that removes the listener. */
  onStatus(listener: (status: BusStatus) => void): () => void;
  /** Stops intake: unsubscribes, lets running handlers and publishes end. Sending still works until `close`. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Narrows a message of several possible types. */
export function hasType<T extends EventType>(message: Incoming, type: T): message is Incoming<T> {
  return message.type === type;
}
