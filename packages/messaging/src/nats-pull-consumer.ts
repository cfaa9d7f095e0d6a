import type { EventType, StreamName } from '@meridian/contracts';
import { assert, Failure } from '@meridian/failure';
import type { Clock, Logger } from '@meridian/runtime';
import type { Msg } from '@nats-io/transport-node';
import { FAR_FUTURE_NAK_MS, type Inspector } from './inspector.ts';
import { type JetStreamApi, nanoseconds, parseAckSubject } from './jetstream-api.ts';
import { type ConsumerSettings, type Delivery, FETCH_MAX, type PullConsumer } from './message-bus.ts';
import { NatsDelivery, sendAck, sendNak, sendTerm } from './nats-delivery.ts';
import { rawMessage } from './nats-message.ts';
import { Pull, PullInbox } from './nats-pull.ts';
import type { NatsSession } from './nats-session.ts';

/** Idle inboxes kept for later fetches; more are made while more fetches run at once. */
const IDLE_INBOXES_MAX = 8;

export interface NatsPullConsumerOptions<T extends EventType> {
  readonly session: NatsSession;
  readonly api: JetStreamApi;
  readonly inspector: Inspector;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly stream: StreamName;
  readonly name: string;
  readonly wanted: ReadonlySet<T>;
}

/** A pull that was left takes deliveries for a while yet: without a delay they would go back and forth as fast as they can. */
const GIVE_BACK_MS = 100;
const CONSUMER_NAME = /^[A-Za-z0-9_-]{1,128}$/;
/** Pulls that may wait on one consumer, of all replicas together. */
const PULLS_WAITING_MAX = 512;

/** @throws Failure as `MessageBus.consumer` says */
export async function createPullConsumer<T extends EventType>(
  options: NatsPullConsumerOptions<T>,
  consumer: ConsumerSettings,
): Promise<NatsPullConsumer<T>> {
  assert(CONSUMER_NAME.test(consumer.name), `${consumer.name} is a consumer name`);
  // nats-server 2.9 would change the filter of an existing consumer without a word.
  const existing = await options.api.findConsumer(options.stream, consumer.name);
  const filter = existing?.config.filter_subject;
  if (filter !== undefined && filter !== consumer.filter) throw conflict(`its filter is ${filter}`);
  try {
    await options.api.createConsumer(options.stream, {
      name: consumer.name,
      durable_name: consumer.name,
      ack_policy: 'explicit',
      deliver_policy: 'all',
      replay_policy: 'instant',
      filter_subject: consumer.filter,
      ack_wait: nanoseconds(consumer.ackWaitMs),
      max_deliver: consumer.maxDeliver,
      max_ack_pending: consumer.maxAckPending,
      max_waiting: PULLS_WAITING_MAX,
    });
  } catch (thrown) {
    const failure = Failure.from(thrown);
    if (failure.reason !== 'JETSTREAM_REFUSES') throw failure;
    throw conflict(failure.message, failure);
  }
  return new NatsPullConsumer(options);
}

function conflict(problem: string, cause?: Failure): Failure {
  return new Failure('FAILED_PRECONDITION', `consumer refused: ${problem}`, { reason: 'CONSUMER_CONFLICT', cause });
}

/**
 * Pulls by hand-made requests on long-lived inboxes: no API call and no new subscription per fetch.
 *
 * 1. An inbox serves one fetch at a time; fetches may run side by side.
 * 2. Every delivery that reached this process and was not handed out goes back (nak).
 */
export class NatsPullConsumer<T extends EventType> implements PullConsumer<T> {
  readonly #options: NatsPullConsumerOptions<T>;
  readonly #nextSubject: string;
  readonly #idle: PullInbox[] = [];

  constructor(options: NatsPullConsumerOptions<T>) {
    this.#options = options;
    this.#nextSubject = `$JS.API.CONSUMER.MSG.NEXT.${options.stream}.${options.name}`;
  }

  async *fetch(max: number, expiresMs: number, signal?: AbortSignal): AsyncGenerator<Delivery<T>, void, undefined> {
    assert(Number.isInteger(max) && max > 0 && max <= FETCH_MAX, `a fetch is of 1 to ${FETCH_MAX} messages`);
    if (signal?.aborted) return;
    const inbox = this.#idle.pop() ?? this.#newInbox();
    const pull = this.#pull(inbox, max, expiresMs);
    const onAbort = (): void => pull.stop();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      while (true) {
        const message = pull.take();
        if (message !== undefined) {
          const delivery = this.#accept(message);
          if (delivery !== undefined) yield delivery;
        } else if (pull.end === undefined) await pull.changed();
        else break;
      }
      if (pull.end instanceof Failure) throw pull.end;
      if (pull.end === 'silent' && pull.received === 0) await this.#mustExist();
    } finally {
      signal?.removeEventListener('abort', onAbort);
      for (const message of pull.leave()) this.#giveBack(message);
      if (!pull.brokerDone || this.#idle.length >= IDLE_INBOXES_MAX) inbox.discard();
      else this.#keep(inbox);
    }
  }

  async pending(): Promise<{ waiting: number; unacked: number }> {
    const info = await this.#options.api.consumerInfo(this.#options.stream, this.#options.name);
    return { waiting: info.num_pending, unacked: info.num_ack_pending };
  }

  #newInbox(): PullInbox {
    const { session, clock } = this.#options;
    return new PullInbox(session, clock, (message) => this.#giveBack(message));
  }

  #pull(inbox: PullInbox, batch: number, expiresMs: number): Pull {
    const { session, clock } = this.#options;
    try {
      return new Pull(inbox, { subject: this.#nextSubject, batch, expiresMs }, session, clock);
    } catch (thrown) {
      this.#keep(inbox);
      throw thrown;
    }
  }

  #keep(inbox: PullInbox): void {
    inbox.end();
    this.#idle.push(inbox);
  }

  #giveBack(message: Msg): void {
    sendNak(this.#options.session, message.reply ?? '', GIVE_BACK_MS);
  }

  /** Handed out, or settled here: nothing that is not valid reaches the caller. */
  #accept(message: Msg): NatsDelivery<T> | undefined {
    const { session, inspector, wanted } = this.#options;
    const reply = message.reply ?? '';
    const info = parseAckSubject(reply);
    assert(info !== undefined, 'a delivery of JetStream has an ack subject');
    const verdict = inspector.inspect(rawMessage(message), wanted);
    if (verdict === 'future') sendNak(session, reply, FAR_FUTURE_NAK_MS);
    else if (verdict === 'unwanted') sendAck(session, reply);
    else if (verdict === 'invalid') sendTerm(session, reply);
    else return new NatsDelivery(verdict, info, reply, session, (reason) => this.#logTerm(verdict.subject, reason));
    return undefined;
  }

  #logTerm(subject: string, reason: string): void {
    this.#options.logger.warn({ subject, reason, stream: this.#options.stream }, 'message terminated');
  }

  /** The broker does not answer a pull on a consumer that is not there. @throws Failure NOT_FOUND / CONSUMER_MISSING */
  async #mustExist(): Promise<void> {
    await this.#options.api.consumerInfo(this.#options.stream, this.#options.name);
  }
}
