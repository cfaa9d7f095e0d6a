import type { EventType } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { MessageBus, Outgoing } from '@meridian/messaging';
import { backoffMs, type Clock, type Logger, type Random } from '@meridian/runtime';

export interface Publication<T extends EventType = EventType> {
  /** `Nats-Msg-Id`, and what it is known by here. */
  readonly id: string;
  readonly subject: string;
  readonly event: Outgoing<T>;
  /** About what it takes in memory. */
  readonly bytes: number;
  /** The stream has it. */
  readonly stored?: () => void;
}

export interface PublishQueueOptions {
  readonly bus: MessageBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** For the log. */
  readonly name: string;
  /** Asked once, before the first publication: which ids need not be published again. Tried until it succeeds. */
  readonly known?: () => Promise<ReadonlySet<string>>;
}

/** Fewer are dropped sooner while the broker is away; more take memory. */
const PUBLICATIONS_WAITING_MAX = 8_192;
const PUBLICATION_BYTES_MAX = 16 * 2 ** 20;
/** On their way at once: a burst must not wait one round trip each, and needs one receipt. */
const PUBLISHING_MAX = 64;
const PUBLISH_TIMEOUT_MS = 2_000;
const RETRY = { initialMs: 50, maxMs: 2_000 };
const NOTHING: ReadonlySet<string> = new Set();

/**
 * Publishes durably what the state gives rise to, at least once while the process lives: in order, but for what had to be
 * tried again.
 *
 * 1. What was taken is tried until the stream has it; only what a stream will never take is given up, and logged.
 * 2. When it is full the new one is dropped, and logged: the state itself does not wait for it.
 */
export class PublishQueue {
  readonly #options: PublishQueueOptions;
  readonly #waiting: Publication[] = [];
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #known: ReadonlySet<string> | undefined;
  /** Waiting ones that were part of a run that did not succeed as such. */
  readonly #tried = new Set<string>();
  #bytes = 0;
  #dropped = 0;

  constructor(options: PublishQueueOptions) {
    this.#options = options;
  }

  push(publication: Publication): void {
    const isFull = this.#waiting.length > 0 && this.#bytes + publication.bytes > PUBLICATION_BYTES_MAX;
    if (isFull || this.#waiting.length >= PUBLICATIONS_WAITING_MAX) {
      this.#drop(publication);
      return;
    }
    this.#waiting.push(publication);
    this.#bytes += publication.bytes;
    this.#start();
  }

  /** Resolves when nothing waits any more, or when it should not wait longer. */
  async drain(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    while (this.#running !== undefined && !signal.aborted) await Promise.race([this.#running, aborted]);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    while (this.#running !== undefined) await this.#running;
  }

  #start(): void {
    this.#running ??= this.#run().then(() => {
      this.#running = undefined;
      if (this.#waiting.length > 0 && !this.#stopped.signal.aborted) this.#start();
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    for (let attempt = 0; this.#waiting.length > 0 && !signal.aborted; attempt++) {
      if (await this.#publishSome()) attempt = -1;
      else
        await this.#options.clock.sleep(backoffMs(attempt, RETRY, this.#options.random), signal).catch(() => undefined);
    }
    // Only what waited at the start can have been published by an earlier life.
    if (this.#known !== undefined) this.#known = NOTHING;
  }

  /** @returns false when something has to be tried again */
  async #publishSome(): Promise<boolean> {
    const batch = this.#waiting.slice(0, PUBLISHING_MAX);
    try {
      this.#known ??= (await this.#options.known?.()) ?? NOTHING;
    } catch (error) {
      this.#options.logger.debug({ err: error, queue: this.#options.name }, 'what is published already cannot be read');
      return false;
    }
    const ended = (await this.#publishRun(batch))
      ? batch.map(() => true)
      : await Promise.all(batch.map((publication) => this.#publish(publication)));
    this.#waiting.splice(0, batch.length, ...batch.filter((_, i) => !ended[i]));
    for (const [i, { id }] of batch.entries()) if (ended[i]) this.#tried.delete(id);
    this.#bytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
    return ended.every(Boolean);
  }

  /** @returns false when some may not be published: then each has to go by itself */
  async #publishRun(batch: readonly Publication[]): Promise<boolean> {
    const isFresh = batch.every(({ id }) => !this.#tried.has(id) && !this.#known?.has(id));
    if (batch.length < 2 || !isFresh) return false;
    for (const { id } of batch) this.#tried.add(id);
    try {
      const events = batch.map(({ id: messageId, subject, event }) => ({ messageId, subject, event }));
      await this.#options.bus.publishRun(events, { timeoutMs: PUBLISH_TIMEOUT_MS });
    } catch (error) {
      const { code, reason } = Failure.from(error);
      this.#options.logger.debug({ queue: this.#options.name, code, reason }, 'a run of events goes one by one');
      return false;
    }
    for (const { stored } of batch) stored?.();
    return true;
  }

  async #publish({ id, subject, event, stored }: Publication): Promise<boolean> {
    const { bus, logger, name } = this.#options;
    try {
      if (!this.#known?.has(id))
        await bus.publishDurable(subject, event, { messageId: id, timeoutMs: PUBLISH_TIMEOUT_MS });
      stored?.();
      return true;
    } catch (error) {
      const { code, reason } = Failure.from(error);
      const isHopeless = code === 'INVALID_ARGUMENT';
      const said = isHopeless ? 'an event was given up' : 'an event is not published yet';
      logger[isHopeless ? 'error' : 'debug']({ queue: name, id, code, reason }, said);
      return isHopeless;
    }
  }

  #drop({ id }: Publication): void {
    this.#dropped++;
    // One line each time their number has doubled: a flood of events must not become a flood of lines.
    if ((this.#dropped & (this.#dropped - 1)) === 0)
      this.#options.logger.error(
        { queue: this.#options.name, id, dropped: this.#dropped },
        'too many events wait: dropped',
      );
  }
}
