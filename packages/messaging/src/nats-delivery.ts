import type { Envelope, EventData, EventType } from '@meridian/contracts';
import { type DeliveryInfo, nanoseconds } from './jetstream-api.ts';
import type { Delivery, Incoming } from './message-bus.ts';
import type { NatsSession } from './nats-session.ts';

const ACK = Buffer.from('+ACK');
const TERM = Buffer.from('+TERM');
const WORKING = Buffer.from('+WPI');

/** Acknowledgements are plain messages to the delivery's reply subject, sent at most once. */
export function sendAck(session: NatsSession, reply: string): void {
  session.send({ subject: reply, data: ACK });
}

export function sendNak(session: NatsSession, reply: string, delayMs: number): void {
  const data = delayMs > 0 ? `-NAK ${JSON.stringify({ delay: nanoseconds(delayMs) })}` : '-NAK';
  session.send({ subject: reply, data: Buffer.from(data) });
}

/** nats-server 2.9 takes no reason with it. */
export function sendTerm(session: NatsSession, reply: string): void {
  session.send({ subject: reply, data: TERM });
}

export class NatsDelivery<T extends EventType> implements Delivery<T> {
  readonly subject: string;
  readonly type: T;
  readonly envelope: Envelope;
  readonly data: EventData<T>;
  readonly sequence: number;
  readonly deliveryCount: number;
  readonly #session: NatsSession;
  readonly #reply: string;
  readonly #onTerm: (reason: string) => void;
  #settled = false;

  constructor(
    message: Incoming<T>,
    info: DeliveryInfo,
    reply: string,
    session: NatsSession,
    onTerm: (reason: string) => void,
  ) {
    this.subject = message.subject;
    this.type = message.type;
    this.envelope = message.envelope;
    this.data = message.data;
    this.sequence = info.streamSequence;
    this.deliveryCount = info.deliveryCount;
    this.#session = session;
    this.#reply = reply;
    this.#onTerm = onTerm;
  }

  ack(): void {
    if (this.#settle()) sendAck(this.#session, this.#reply);
  }

  nak(delayMs: number): void {
    if (this.#settle()) sendNak(this.#session, this.#reply, delayMs);
  }

  term(reason: string): void {
    if (!this.#settle()) return;
    sendTerm(this.#session, this.#reply);
    this.#onTerm(reason);
  }

  working(): void {
    if (!this.#settled) this.#session.send({ subject: this.#reply, data: WORKING });
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    return true;
  }
}
