import { Failure } from '@meridian/failure';
import type { Clock, Logger } from '@meridian/runtime';
import {
  createInbox,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  PermissionViolationError,
  type Status,
} from '@nats-io/transport-node';
import { backlogFull, disconnected, noResponders } from './ask-failures.ts';
import { Backlog } from './backlog.ts';
import { within } from './deadline.ts';
import type { BusStatus, Subscription } from './message-bus.ts';
import { Questions, type Settle } from './questions.ts';

/** Command line, ids and line ends of one message, about. */
const MESSAGE_OVERHEAD_BYTES = 64;
/** Waiting for the last bytes to leave at the end. */
const CLOSE_FLUSH_MS = 1000;

const NO_RESPONDERS = 503;

export type SendResult = 'sent' | 'DISCONNECTED' | 'BACKLOG_FULL';

export interface OutgoingMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: MsgHdrs;
  readonly reply?: string;
}

export interface NatsSubscription extends Subscription {
  /** Unsubscribes; what the broker sent before still reaches the callback. */
  drain(): Promise<void>;
}

interface Ask {
  readonly subject: string;
  readonly settle: Settle<Msg>;
}

/**
 * One connection to the broker, with bounded memory.
 *
 * 1. While disconnected nothing is sent and nothing is buffered for later.
 * 2. The questions that wait and the bytes on their way to the broker are bounded.
 * 3. A lost connection ends every question at once: the caller decides whether to ask again.
 * 4. A callback never throws into the client, whose reader would stop.
 */
export class NatsSession {
  readonly inbox: string;
  /** Resolves when the connection has ended for good. */
  readonly closed: Promise<Error | undefined>;
  readonly #connection: NatsConnection;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #questions: Questions;
  readonly #backlog: Backlog;
  /** Questions by their reply subject. */
  readonly #asks = new Map<string, Ask>();
  readonly #statusListeners = new Set<(status: BusStatus) => void>();
  readonly #lostListeners = new Set<() => void>();
  #connected = true;
  #asked = 0;
  #subscribed = 0;

  constructor(connection: NatsConnection, options: { inboxPrefix: string; logger: Logger; clock: Clock }) {
    this.#connection = connection;
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#questions = new Questions(options.clock);
    this.#backlog = new Backlog(() => connection.flush());
    this.inbox = createInbox(options.inboxPrefix);
    this.subscribe(`${this.inbox}.*`, (message) => this.#answered(message));
    this.closed = connection.closed().then((error) => this.#ended(error ?? undefined));
    void this.#followStatus();
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Of the broker's process that this session is connected to, or was last; empty before the first. */
  get serverId(): string {
    return this.#connection.info?.server_id ?? '';
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  }

  /** Called when the connection is lost, and at `close`: what waits for the broker ends. */
  onLost(listener: () => void): () => void {
    this.#lostListeners.add(listener);
    return () => this.#lostListeners.delete(listener);
  }

  /** @throws Failure INVALID_ARGUMENT / MESSAGE_TOO_LARGE when it is above the broker's `max_payload`. */
  send(message: OutgoingMessage): SendResult {
    if (!this.#connected) return 'DISCONNECTED';
    if (this.#backlog.full) return 'BACKLOG_FULL';
    const { subject, data, headers, reply } = message;
    try {
      this.#connection.publish(subject, data, {
        ...(headers !== undefined && { headers }),
        ...(reply !== undefined && { reply }),
      });
    } catch (thrown) {
      if (this.#connection.isClosed() || this.#connection.isDraining()) return 'DISCONNECTED';
      throw new Failure('INVALID_ARGUMENT', 'the broker does not take so large a message', {
        reason: 'MESSAGE_TOO_LARGE',
        cause: thrown,
      });
    }
    this.#backlog.sent(data.length + subject.length + MESSAGE_OVERHEAD_BYTES);
    return 'sent';
  }

  /**
   * Sends and waits for the first answer.
   * @throws Failure UNAVAILABLE / DISCONNECTED (not sent), CONNECTION_LOST (sent), NO_RESPONDERS; RESOURCE_EXHAUSTED /
   * BACKLOG_FULL; DEADLINE_EXCEEDED / NO_REPLY; PERMISSION_DENIED; CANCELLED.
   */
  ask(message: Omit<OutgoingMessage, 'reply'>, timeoutMs: number, signal?: AbortSignal): Promise<Msg> {
    return this.#questions.ask<Msg>(
      (settle) => {
        const reply = `${this.inbox}.${(++this.#asked).toString(36)}`;
        this.#asks.set(reply, { subject: message.subject, settle });
        try {
          const result = this.send({ ...message, reply });
          if (result !== 'sent') settle(sendFailure(result));
        } catch (thrown) {
          settle(Failure.from(thrown));
        }
        return () => this.#asks.delete(reply);
      },
      timeoutMs,
      signal,
    );
  }

  /** @param queue members of one queue share the messages. @throws Failure UNAVAILABLE / DISCONNECTED after `close` */
  subscribe(subject: string, onMessage: (message: Msg) => void, queue?: string): NatsSubscription {
    const callback = (error: Error | null, message: Msg): void => {
      // A refused subscription is logged with the status event.
      if (error !== null) return;
      try {
        onMessage(message);
      } catch (thrown) {
        this.#logger.error({ err: thrown, subject }, 'a message handler failed');
      }
    };
    if (this.#connection.isClosed()) throw disconnected();
    const subscription = this.#connection.subscribe(subject, { callback, ...(queue !== undefined && { queue }) });
    return {
      unsubscribe: () => {
        if (!subscription.isClosed()) subscription.unsubscribe();
      },
      drain: async () => {
        if (subscription.isClosed() || this.#connection.isClosed()) return;
        if (this.#connected) await subscription.drain();
        else subscription.unsubscribe();
      },
    };
  }

  /** A subject of the own inbox space, for a subscription that gets more than one answer. */
  newInbox(): string {
    return `${this.inbox}.${(++this.#subscribed).toString(36)}`;
  }

  /** Resolves when no question waits. */
  idle(): Promise<void> {
    return this.#questions.idle();
  }

  async close(): Promise<void> {
    if (this.#connection.isClosed()) return;
    if (this.#connected) await within(this.#clock, CLOSE_FLUSH_MS, this.#connection.flush());
    this.#connected = false;
    this.#lose();
    await this.#connection.close();
  }

  #answered(message: Msg): void {
    const ask = this.#asks.get(message.subject);
    if (ask === undefined) return;
    const nobody = message.data.length === 0 && message.headers?.code === NO_RESPONDERS;
    ask.settle(nobody ? noResponders(ask.subject) : message);
  }

  async #followStatus(): Promise<void> {
    for await (const status of this.#connection.status()) this.#statusChanged(status);
  }

  #statusChanged(status: Status): void {
    if (status.type === 'disconnect') this.#setConnected(false);
    else if (status.type === 'reconnect') this.#setConnected(true);
    else if (status.type === 'error') this.#serverError(status.error);
  }

  #setConnected(connected: boolean): void {
    if (this.#connected === connected || this.#connection.isClosed()) return;
    this.#connected = connected;
    this.#backlog.reset();
    this.#logger.warn({ connected }, connected ? 'broker connection is back' : 'broker connection lost');
    if (!connected) this.#lose();
    this.#tell(connected ? 'connected' : 'disconnected');
  }

  #tell(status: BusStatus): void {
    for (const listener of this.#statusListeners) {
      try {
        listener(status);
      } catch (thrown) {
        this.#logger.error({ err: thrown }, 'a listener of the connection status failed');
      }
    }
  }

  #lose(): void {
    for (const listener of Array.from(this.#lostListeners)) listener();
    this.#questions.failAll();
  }

  /** The broker reports a violation without saying which message it was: every question on that subject is refused. */
  #serverError(error: Error): void {
    if (!(error instanceof PermissionViolationError)) {
      this.#logger.error({ err: error }, 'the broker reports an error');
      return;
    }
    const { operation, subject } = error;
    this.#logger.error({ operation, subject }, 'the broker refuses the subject: permission violation');
    if (operation !== 'publish') return;
    for (const ask of Array.from(this.#asks.values()))
      if (ask.subject === subject)
        ask.settle(new Failure('PERMISSION_DENIED', `this role may not publish on ${subject}`));
  }

  #ended(error: Error | undefined): Error | undefined {
    const expected = !this.#connected && error === undefined;
    this.#connected = false;
    this.#lose();
    if (!expected) {
      this.#logger.error({ err: error }, 'the broker connection has ended');
      this.#tell('disconnected');
    }
    return error;
  }
}

export function sendFailure(result: Exclude<SendResult, 'sent'>): Failure {
  return result === 'BACKLOG_FULL' ? backlogFull() : disconnected();
}
