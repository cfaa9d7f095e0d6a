import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { MessageBus } from '@meridian/messaging';
import type { Clock, Component, Logger, Timer } from '@meridian/runtime';

export interface ClaimQueuesOptions {
  readonly bus: Pick<MessageBus, 'onStatus' | 'deleteConsumers' | 'brokerLife' | 'connected'>;
  /** Holds the broker's life for which the queues are in order. */
  readonly file: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const RETRY_MS = 1_000;

/**
 * Has the consumers of the claim queue made anew after each start of the broker.
 *
 * A broker that was killed may come back with consumers that do not fit their stream: nats-server 2.9 writes down what
 * was acknowledged and what was removed at different times. A consumer that waits for removed messages delivers next to
 * nothing more, and messages that it takes for acknowledged are never delivered again. One that is made anew gets
 * everything that the queue holds. A claim that is delivered twice does no harm: its owner refuses what is over, and its
 * fence decides the rest.
 *
 * 1. One reset for each life of the broker, by each scheduler; what could not be done is tried again every second.
 */
export class ClaimQueues implements Component {
  readonly name = 'claim queues';
  readonly #o: ClaimQueuesOptions;
  #known = '';
  #checking: Promise<void> = Promise.resolve();
  #retry: Timer | undefined;
  #unlisten: (() => void) | undefined;
  #stopped = false;

  constructor(options: ClaimQueuesOptions) {
    this.#o = options;
  }

  async start(): Promise<void> {
    this.#known = await readFile(this.#o.file, 'utf8').catch(() => '');
    this.#unlisten = this.#o.bus.onStatus((status) => {
      if (status === 'connected') void this.#check();
    });
    await this.#check();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#unlisten?.();
    await this.#checking;
  }

  #check(): Promise<void> {
    this.#checking = this.#checking.then(() => this.#reset());
    return this.#checking;
  }

  async #reset(): Promise<void> {
    const { bus, file, clock, logger } = this.#o;
    const life = bus.brokerLife;
    if (this.#stopped || life === '' || life === this.#known || !bus.connected) return;
    try {
      const count = await bus.deleteConsumers('TASKS');
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, life);
      this.#known = life;
      logger.info({ consumers: count }, 'the broker was started anew: the claim queue is read from its beginning');
    } catch (error) {
      logger.warn({ err: error }, 'the consumers of the claim queue could not be reset; trying again');
      this.#retry = clock.setTimer(RETRY_MS, () => void this.#check());
    }
  }
}
