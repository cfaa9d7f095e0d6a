import { Failure } from '@meridian/failure';
import type { Clock, Logger, Timer } from '@meridian/runtime';
import {
  createInbox,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  PermissionViolationError,
  type Status,
} from '@nats-io/transport-node';
import { cancelled, connectionLost, disconnected, noReply, noResponders } from './ask-failures.ts';
import { within } from './deadline.ts';
import type { BusStatus, Subscription } from './message-bus.ts';

/** Questions without an answer yet; each holds a promise and a timer. */
export const ASKS_MAX = 8192;
/** Bytes sent that the broker has not confirmed by a pong: what the socket may buffer when the broker stalls. */
export const UNCONFIRMED_BYTES_MAX = 16 * 2 ** 20;
/** A ping at least this often, in bytes sent. */
const CONFIRM_EVERY_BYTES = 256 * 1024;
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
  readonly settle: (result: Msg | Failure) => void;
}

/**
 * One connection to the broker, with bounded memory.
 *
 * 1. While disconnected nothing is sent and nothing is buffered for later.
 * 2. At most `ASKS_MAX` questions wait, and `UNCONFIRMED_BYTES_MAX` bytes are on their way to the broker.
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
  readonly #asks = new Map<string, Ask>();
  readonly #statusListeners = new Set<(status: BusStatus) => void>();
  readonly #lostListeners = new Set<() => void>();
  readonly #idleWaiters: (() => void)[] = [];
  #connected = true;
  #asked = 0;
  #subscribed = 0;
  #unconfirmedBytes = 0;
  #pinging = false;
  #generation = 0;

  constructor(connection: NatsConnection, options: { inboxPrefix: string; logger: Logger; clock: Clock }) {
    this.#connection = connection;
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.inbox = createInbox(options.inboxPrefix);
    this.subscribe(`${this.inbox}.*`, (message) => this.#answered(message));
    this.closed = connection.closed().then((error) => this.#ended(error ?? undefined));
    void this.#followStatus();
  }

  get connected(): boolean {
    return this.#connected;
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
    if (this.#unconfirmedBytes > UNCONFIRMED_BYTES_MAX) return 'BACKLOG_FULL';
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
    this.#unconfirmedBytes += data.length + subject.length + MESSAGE_OVERHEAD_BYTES;
    if (this.#unconfirmedBytes >= CONFIRM_EVERY_BYTES && !this.#pinging) void this.#confirm();
    return 'sent';
  }

  /**
   * Sends and waits for the first answer.
   * @throws Failure UNAVAILABLE / DISCONNECTED (not sent), CONNECTION_LOST (sent), NO_RESPONDERS; RESOURCE_EXHAUSTED /
   * BACKLOG_FULL; DEADLINE_EXCEEDED / NO_REPLY; PERMISSION_DENIED; CANCELLED.
   */
  ask(message: Omit<OutgoingMessage, 'reply'>, timeoutMs: number, signal?: AbortSignal): Promise<Msg> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal));
      if (this.#asks.size >= ASKS_MAX) return reject(sendFailure('BACKLOG_FULL'));
      const token = `${this.inbox}.${(++this.#asked).toString(36)}`;
      const onAbort = (): void => settle(cancelled(signal));
      const settle = (result: Msg | Failure): void => {
        if (!this.#asks.delete(token)) return;
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
        if (this.#asks.size === 0) for (const idle of this.#idleWaiters.splice(0)) idle();
        if (result instanceof Failure) reject(result);
        else resolve(result);
      };
      const timer: Timer = this.#clock.setTimer(timeoutMs, () => settle(noReply(timeoutMs)));
      this.#asks.set(token, { subject: message.subject, settle });
      signal?.addEventListener('abort', onAbort, { once: true });
      try {
        const result = this.send({ ...message, reply: token });
        if (result !== 'sent') settle(sendFailure(result));
      } catch (thrown) {
        settle(Failure.from(thrown));
      }
    });
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
  async idle(): Promise<void> {
    if (this.#asks.size > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
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

  async #confirm(): Promise<void> {
    const bytes = this.#unconfirmedBytes;
    const generation = this.#generation;
    this.#pinging = true;
    try {
      await this.#connection.flush();
      // After a reconnection the count began anew.
      if (generation === this.#generation) this.#unconfirmedBytes -= bytes;
    } catch {
      // The connection went: the status event resets the count.
    } finally {
      this.#pinging = false;
    }
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
    this.#generation++;
    this.#unconfirmedBytes = 0;
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
    for (const ask of Array.from(this.#asks.values())) ask.settle(connectionLost());
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
  if (result === 'BACKLOG_FULL')
    return new Failure('RESOURCE_EXHAUSTED', 'too much is on its way to the broker', {
      reason: 'BACKLOG_FULL',
      retryDelayMs: 100,
    });
  return disconnected();
}
