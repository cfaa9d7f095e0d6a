import { Failure } from '@meridian/failure';
import type { Clock, Timer } from '@meridian/runtime';
import type { Msg } from '@nats-io/transport-node';
import { disconnected } from './ask-failures.ts';
import { nanoseconds } from './jetstream-api.ts';
import { type NatsSession, type NatsSubscription, sendFailure } from './nats-session.ts';

export interface PullRequest {
  /** `$JS.API.CONSUMER.MSG.NEXT.…` of the consumer. */
  readonly subject: string;
  readonly batch: number;
  readonly bytesMax?: number;
  /** 0: answer at once with what is there. */
  readonly expiresMs: number;
}

/**
 * How a pull ended. `size`: the next message is above `bytesMax`; `silent`: its time is over and no status came, as for
 * a consumer that does not exist; `left`: its reader wants no more.
 */
export type PullEnd = 'complete' | 'expired' | 'size' | 'silent' | 'left' | Failure;

/** The broker ends a pull with a status; nats-server 2.9 sometimes forgets it. It is not waited for longer than this. */
const STATUS_MARGIN_MS = 250;
/** nats-server's `defaultGatewayRecentSubExpiration`: younger pulls are served unseen. */
const DISCARD_AFTER_MS = 2000;

/**
 * An inbox for pulls, one at a time. Messages of a pull carry their stream's subject, so only the subscription tells
 * which pull they belong to.
 */
export class PullInbox {
  readonly #session: NatsSession;
  readonly #clock: Clock;
  readonly #subject: string;
  readonly #subscription: NatsSubscription;
  readonly #onStray: (message: Msg) => void;
  #pulls = 0;
  #receiver: ((message: Msg, isStatus: boolean) => void) | undefined;

  /** @param onStray gets deliveries that no pull takes any more */
  constructor(session: NatsSession, clock: Clock, onStray: (message: Msg) => void) {
    this.#session = session;
    this.#clock = clock;
    this.#onStray = onStray;
    this.#subject = session.newInbox();
    this.#subscription = session.subscribe(`${this.#subject}.*`, (message) => this.#received(message));
  }

  /** Sends the request and directs what comes to `receiver`. @throws Failure when it cannot be sent. */
  begin(request: PullRequest, receiver: (message: Msg, isStatus: boolean) => void): void {
    this.#receiver = receiver;
    const body = {
      batch: request.batch,
      ...(request.expiresMs > 0 ? { expires: nanoseconds(request.expiresMs) } : { no_wait: true }),
      ...(request.bytesMax !== undefined && { max_bytes: request.bytesMax }),
    };
    const result = this.#session.send({
      subject: request.subject,
      data: Buffer.from(JSON.stringify(body)),
      reply: `${this.#subject}.${(++this.#pulls).toString(36)}`,
    });
    if (result !== 'sent') throw sendFailure(result);
  }

  /** The pull is done; the inbox can serve another. */
  end(): void {
    this.#receiver = undefined;
  }

  /**
   * For a pull that the broker may still serve. It drops it with the subscription, but a delivery that is on its way
   * then would be lost until the ack wait; and with leaf nodes nats-server serves young pulls without looking for a
   * subscription. So the inbox stays for a while, and what comes is stray.
   */
  discard(): void {
    this.#receiver = undefined;
    const timer = this.#clock.setTimer(DISCARD_AFTER_MS, () => {
      stopListening();
      void this.#subscription.drain();
    });
    const stopListening = this.#session.onLost(() => {
      stopListening();
      timer.cancel();
      this.#subscription.unsubscribe();
    });
  }

  #received(message: Msg): void {
    const isStatus = message.subject.startsWith(this.#subject);
    // The status of a pull that ended otherwise (by its last message, or locally) is of no interest.
    const stale = isStatus && message.subject !== `${this.#subject}.${this.#pulls.toString(36)}`;
    if (stale) return;
    if (this.#receiver !== undefined) this.#receiver(message, isStatus);
    else if (!isStatus) this.#onStray(message);
  }
}

/**
 * One pull: a bounded queue between the connection, which pushes, and one reader.
 *
 * 1. It holds at most `batch` messages.
 * 2. It ends once: by the last message, a status of the broker, silence, the loss of the connection, or its reader.
 */
export class Pull {
  readonly #queue: Msg[] = [];
  readonly #batch: number;
  readonly #timer: Timer;
  readonly #unlisten: () => void;
  #taken = 0;
  #end: PullEnd | undefined;
  #brokerDone = false;
  #wake: (() => void) | undefined;

  /** @throws Failure when the request cannot be sent; nothing is left behind then. */
  constructor(inbox: PullInbox, request: PullRequest, session: NatsSession, clock: Clock) {
    this.#batch = request.batch;
    inbox.begin(request, (message, isStatus) => this.#push(message, isStatus));
    this.#timer = clock.setTimer(request.expiresMs + STATUS_MARGIN_MS, () => this.#finish('silent'));
    this.#unlisten = session.onLost(() => this.#finish(disconnected()));
  }

  /** Undefined while it goes on. What came before the end can still be taken, unless the reader left. */
  get end(): PullEnd | undefined {
    return this.#end;
  }

  /** The broker sends nothing more for it. */
  get brokerDone(): boolean {
    return this.#brokerDone;
  }

  get received(): number {
    return this.#queue.length;
  }

  /** The next message, if one is here. */
  take(): Msg | undefined {
    if (this.#end === 'left') return undefined;
    const message = this.#queue[this.#taken];
    if (message !== undefined) this.#taken++;
    return message;
  }

  /** Resolves when `take` or `end` has something to say. */
  async changed(): Promise<void> {
    if (this.#end !== undefined || this.#taken < this.#queue.length) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** The reader wants no more. @returns what it has not taken */
  leave(): readonly Msg[] {
    this.#finish('left');
    return this.#queue.slice(this.#taken);
  }

  /** Like `leave` for a reader that waits in `changed`: it finds the end `left`. */
  stop(): void {
    if (this.#end !== undefined) this.#end = 'left';
    this.#finish('left');
  }

  #push(message: Msg, isStatus: boolean): void {
    if (isStatus) {
      const end = endOf(message);
      if (end === undefined) return;
      this.#brokerDone = true;
      this.#finish(end);
      return;
    }
    this.#queue.push(message);
    if (this.#queue.length === this.#batch) {
      this.#brokerDone = true;
      this.#finish('complete');
    } else this.#wakeReader();
  }

  #finish(end: PullEnd): void {
    this.#end ??= end;
    this.#timer.cancel();
    this.#unlisten();
    this.#wakeReader();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** @returns undefined for a status that does not end the pull. */
function endOf(status: Msg): PullEnd | undefined {
  const code = status.headers?.code ?? 0;
  const description = status.headers?.description ?? '';
  if (code === 100) return undefined;
  if (code === 404 || code === 408) return 'expired';
  if (code === 409 && /exceeds maxbytes/i.test(description)) return 'size';
  if (code === 409 && /consumer deleted/i.test(description))
    return new Failure('NOT_FOUND', 'the consumer was deleted', { reason: 'CONSUMER_MISSING' });
  if (code === 409 && /exceeded maxwaiting/i.test(description))
    return new Failure('RESOURCE_EXHAUSTED', 'too many pulls wait on the consumer', { reason: 'PULLS_FULL' });
  return new Failure('UNAVAILABLE', `the pull ended: ${code} ${description}`, { reason: 'PULL_ENDED' });
}
