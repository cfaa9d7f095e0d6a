import { PRIORITY_CLASSES, type PriorityClassName, subject, taskConsumer } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { Delivery, MessageBus, PullConsumer } from '@meridian/messaging';
import { backoffMs, type Clock, type Logger, type Random } from '@meridian/runtime';
import { ACK_WAIT_MS } from '../claims/due.ts';
import type { ClaimFacts } from '../claims/held-claim.ts';
import type { ClaimMessage } from '../claims/ports.ts';
import { DeliveredClaim, decodeClaim } from '../codec/claim-codec.ts';
import { AckBatch } from './ack-batch.ts';
import { CreditBook } from './credit.ts';

/**
 * Pulls claims from the region's work queues, as many as credit allows and no more.
 *
 * 1. An idle worker has one waiting pull on every lane, so that a claim arrives within a broker's round trip; nothing
 *    is polled.
 * 2. A pull that fails pauses its lane for a back-off; the others go on.
 * 3. After `stop` no pull is open, and claims that were on their way go back to the broker at once.
 */
export interface ClaimSourceOptions {
  readonly bus: MessageBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** False while pulling would only make claims wait here. */
  readonly mayPull: () => boolean;
  readonly take: (facts: ClaimFacts, message: ClaimMessage, laneId: string) => void;
  /** Shared credit, asked before every plan. */
  readonly target: () => number;
}

/** A waiting pull is renewed after this long. */
const WAITING_EXPIRES_MS = 30_000;
/** A pull for several claims ends soon: what it did not get is credit for others. */
const BATCH_EXPIRES_MS = 1_000;
const BATCH_MAX = 8;
const RETRY = { initialMs: 100, maxMs: 2_000 };
/** The owner's fence decides when a task has failed too often, not the broker's count. */
const MAX_DELIVER = -1;
/** Claims given back with a delay count, too: enough for all that a region may have waiting for owners out of reach. */
const MAX_ACK_PENDING = 4_096;
/** Three lanes each. Further models are not served, and that is logged. */
const MODELS_MAX = 64;

interface Lane {
  readonly id: string;
  readonly priority: PriorityClassName;
  readonly model: string;
  consumer: PullConsumer<'meridian.task.claim.v1'> | undefined;
  failures: number;
}

export class ClaimSource {
  readonly #o: ClaimSourceOptions;
  readonly #book: CreditBook;
  readonly #lanes = new Map<string, Lane>();
  readonly #stopping = new AbortController();
  readonly #pulls = new Set<Promise<void>>();
  readonly #acks: AckBatch;
  #scheduled = false;

  constructor(options: ClaimSourceOptions) {
    this.#o = options;
    this.#acks = new AckBatch(options.clock);
    this.#book = new CreditBook({ target: options.target(), batchMax: BATCH_MAX });
  }

  /** Serves a model from now on. Idempotent. */
  addModel(model: string): void {
    if (this.#stopping.signal.aborted || this.#lanes.has(taskConsumer('high', model))) return;
    if (this.#lanes.size >= MODELS_MAX * PRIORITY_CLASSES.length) {
      this.#o.logger.error({ model, limit: MODELS_MAX }, 'too many models: this one is not served here');
      return;
    }
    for (const priority of PRIORITY_CLASSES) {
      const id = taskConsumer(priority, model);
      this.#lanes.set(id, { id, priority, model, consumer: undefined, failures: 0 });
      this.#book.addLane(id, priority);
    }
    this.changed();
  }

  taken(laneId: string): void {
    this.#book.taken(laneId);
  }

  released(laneId: string): void {
    this.#book.released(laneId);
    this.changed();
  }

  /** Plans once for all that changes in this turn of the event loop. */
  changed(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#pulls);
  }

  /** Claims that are over and not acknowledged yet: the broker still has them. */
  get acknowledgementsWaiting(): number {
    return this.#acks.size;
  }

  /** Sends the acknowledgements that wait for company. */
  flush(): void {
    this.#acks.flush();
  }

  #pump(): void {
    if (this.#stopping.signal.aborted || !this.#o.mayPull()) return;
    this.#book.setTarget(this.#o.target());
    for (const { laneId, batch } of this.#book.plan()) {
      const lane = this.#lanes.get(laneId);
      if (lane === undefined) continue;
      const pull = this.#pull(lane, batch);
      this.#pulls.add(pull);
      void pull.finally(() => this.#pulls.delete(pull));
    }
  }

  async #pull(lane: Lane, batch: number): Promise<void> {
    const { signal } = this.#stopping;
    try {
      lane.consumer ??= await this.#consumer(lane);
      const expiresMs = batch === 1 ? WAITING_EXPIRES_MS : BATCH_EXPIRES_MS;
      for await (const delivery of lane.consumer.fetch(batch, expiresMs, signal)) {
        this.#book.delivered(lane.id);
        this.#take(delivery, lane.id);
      }
      lane.failures = 0;
    } catch (thrown) {
      this.#failed(lane, Failure.from(thrown));
    }
    this.#book.closed(lane.id);
    this.changed();
  }

  /** A claim that nobody can work on ends here. */
  #take(delivery: Delivery<'meridian.task.claim.v1'>, laneId: string): void {
    const facts = decodeClaim(delivery.envelope, delivery.data);
    if (typeof facts === 'string') {
      delivery.term(`not a claim: ${facts}`);
      this.released(laneId);
    } else this.#o.take(facts, new DeliveredClaim(delivery, this.#acks), laneId);
  }

  #failed(lane: Lane, failure: Failure): void {
    if (this.#stopping.signal.aborted) return;
    if (failure.code === 'NOT_FOUND') lane.consumer = undefined;
    const delayMs = backoffMs(lane.failures, RETRY, this.#o.random);
    const level = lane.failures === 0 ? 'warn' : 'debug';
    this.#o.logger[level]({ err: failure, lane: lane.id, delayMs }, 'pull failed');
    lane.failures += 1;
    this.#book.pause(lane.id, true);
    this.#o.clock.setTimer(delayMs, () => {
      this.#book.pause(lane.id, false);
      this.changed();
    });
  }

  #consumer(lane: Lane): Promise<PullConsumer<'meridian.task.claim.v1'>> {
    return this.#o.bus.consumer('TASKS', {
      name: lane.id,
      filter: subject('task', { target: this.#o.bus.region, class: lane.priority, model: lane.model }),
      type: 'meridian.task.claim.v1',
      ackWaitMs: ACK_WAIT_MS,
      maxDeliver: MAX_DELIVER,
      maxAckPending: MAX_ACK_PENDING,
    });
  }
}
