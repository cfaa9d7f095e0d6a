import { PRIORITY_CLASSES, taskConsumer } from '@meridian/contracts';
import type { MessageBus, StreamState } from '@meridian/messaging';
import type { Clock, Logger } from '@meridian/runtime';

export interface ClaimLeftoversOptions {
  readonly bus: Pick<MessageBus, 'onStatus' | 'streamState' | 'consumerDepth'>;
  /** Every model that claims may be for, and whether the region's workers serve it; complete once `caughtUp`. */
  readonly models: () => readonly { readonly name: string; readonly isReady: boolean }[];
  readonly caughtUp: Promise<void>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly logger: Logger;
}

/** A look is a request for each model and priority, and comes to nothing while claims come and go. */
const LOOK_INTERVAL_MS = 2_000;
/** As many as workers pull claims for. */
const MODELS_MAX = 64;

/**
 * Claims that the stream holds and that no consumer will deliver again. They are there after the broker was killed:
 * nats-server 2.9 writes an acknowledgement down before the removal of its message. Without them in the account a region
 * would be taken for loaded for good with what it had done before.
 *
 * They are counted, not removed: that server's purge makes a consumer forget what it has delivered.
 *
 * 1. After each connection it looks until one look was exact: nothing was stored or removed while it counted.
 * 2. Until then what the last look found holds.
 */
export class ClaimLeftovers {
  readonly #o: ClaimLeftoversOptions;
  #count = 0;
  #isKnown = false;
  #isCaughtUp = false;
  #nextLookMs = Number.NEGATIVE_INFINITY;

  constructor(options: ClaimLeftoversOptions) {
    this.#o = options;
    void options.caughtUp.then(() => {
      this.#isCaughtUp = true;
    });
    options.bus.onStatus((status) => {
      if (status === 'connected') this.#isKnown = false;
    });
  }

  /** Claims of the stream TASKS that wait or are worked on. @throws Failure of the bus */
  async openOf(stored: StreamState): Promise<number> {
    if (stored.messages === 0) this.#isKnown = true;
    else if (!this.#isKnown) await this.#look(stored);
    this.#count = Math.min(this.#count, stored.messages);
    return stored.messages - this.#count;
  }

  async #look(before: StreamState): Promise<void> {
    const { bus, clock, logger } = this.#o;
    const nowMs = clock.monotonicMs();
    if (!this.#isCaughtUp || nowMs < this.#nextLookMs) return;
    this.#nextLookMs = nowMs + LOOK_INTERVAL_MS;
    const open = await this.#openAtConsumers();
    const after = await bus.streamState('TASKS');
    const isExact = after.messages === before.messages && after.lastSequence === before.lastSequence;
    if (open === undefined || !isExact) return;
    this.#isKnown = true;
    this.#count = Math.max(0, before.messages - open);
    if (this.#count > 0)
      logger.info({ claims: this.#count }, 'the broker holds ended claims; they do not count as load');
  }

  /** Undefined while it cannot be told. */
  async #openAtConsumers(): Promise<number | undefined> {
    const models = this.#o.models();
    if (models.length > MODELS_MAX) return undefined;
    let open = 0;
    for (const { name, isReady } of models)
      for (const priority of PRIORITY_CLASSES) {
        const depth = await this.#o.bus.consumerDepth('TASKS', taskConsumer(priority, name));
        // Its workers are about to make it; what waits for it is no leftover.
        if (depth === undefined && isReady) return undefined;
        open += depth === undefined ? 0 : depth.waiting + depth.unacked;
      }
    return open;
  }
}
