import type { MessageInitShape } from '@bufbuild/protobuf';
import { subject } from '@meridian/contracts';
import type { PlacementSchema } from '@meridian/contracts/event';
import type { Job } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { MessageBus, Outgoing } from '@meridian/messaging';
import { backoffMs, type Clock, type Logger, type Random } from '@meridian/runtime';
import { Fifo } from '../tasks/fifo.ts';
import type { Cause } from '../tasks/task.ts';

export interface EventPublisherOptions {
  readonly bus: MessageBus;
  readonly region: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export type JobVerb = 'accepted' | 'finished' | 'cancelled';
type EventOf = Outgoing<'meridian.event.job-changed.v1'> | Outgoing<'meridian.event.tasks-placed.v1'>;

interface Queued {
  readonly subject: string;
  /** Built when its turn comes: a cause may be the event before it. */
  readonly event: () => EventOf;
  readonly messageId: string;
  /** @param event the stored event; undefined when the stream had one with this id. */
  readonly published: (event: Cause | undefined) => void;
}

/** Placements in one event: well below the stream's message limit. */
export const PLACEMENTS_MAX = 256;
/** Placement events are news, not records: beyond this many waiting they are dropped and counted. */
const WAITING_MAX = 1024;
const RETRY = { initialMs: 50, maxMs: 2000 };

/**
 * Public events of this owner's jobs, one after the other, so that consumers see a job's events in their order.
 *
 * 1. `accepted`, `finished` and `cancelled` are tried until the stream has them; their message ids depend on the job alone,
 *    so that a repetition after a crash is the same event.
 * 2. `placed` and `re-placed` are dropped when too many wait.
 */
export class EventPublisher {
  readonly #options: EventPublisherOptions;
  readonly #queue = new Fifo<Queued>();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #dropped = 0;

  constructor(options: EventPublisherOptions) {
    this.#options = options;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** @returns resolves with the stored event; undefined when the stream has one with the same id already. */
  job(verb: JobVerb, job: Job, causes: readonly Cause[]): Promise<Cause | undefined> {
    const { jobId, tenant } = job;
    return new Promise((published) => {
      this.#add({
        subject: this.#subject(tenant, verb),
        event: () => ({ type: 'meridian.event.job-changed.v1', data: { job }, causes, tenant }),
        messageId: `${jobId}#${verb}#${job.acceptedUnixMs.toString(36)}`,
        published,
      });
    });
  }

  /** @param causes asked when its turn comes */
  placements(
    job: { readonly jobId: string; readonly tenant: string },
    placements: readonly (MessageInitShape<typeof PlacementSchema> & { fence: bigint; taskId: string })[],
    again: boolean,
    causes: () => readonly Cause[],
  ): void {
    const first = placements[0];
    if (first === undefined) return;
    if (this.#queue.size >= WAITING_MAX) {
      this.#dropped++;
      return;
    }
    const { jobId, tenant } = job;
    const data = { jobId, placements: [...placements] };
    this.#add({
      subject: this.#subject(tenant, again ? 're-placed' : 'placed'),
      event: () => ({ type: 'meridian.event.tasks-placed.v1', data, causes: causes(), tenant }),
      messageId: `${first.taskId}#${first.fence}#placed`,
      published: () => undefined,
    });
  }

  /** Waits until all that was asked for is published, or the signal aborts. */
  async flush(): Promise<void> {
    await this.#running;
  }

  stop(): void {
    this.#stopping.abort(new Failure('CANCELLED', 'the scheduler is stopping'));
  }

  #add(queued: Queued): void {
    this.#queue.push(queued);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const done = await this.#publish(next).catch(() => 'stopped' as const);
      if (done === 'stopped') break;
    }
    this.#running = undefined;
  }

  async #publish(queued: Queued): Promise<void> {
    const { bus, clock, random, logger } = this.#options;
    for (let attempt = 0; ; attempt++) {
      this.#stopping.signal.throwIfAborted();
      try {
        const { envelope, duplicate } = await bus.publishDurable(queued.subject, queued.event(), {
          messageId: queued.messageId,
        });
        queued.published(duplicate ? undefined : envelope);
        return;
      } catch (error) {
        const { code, reason } = Failure.from(error);
        logger[attempt === 0 ? 'warn' : 'debug'](
          { messageId: queued.messageId, code, reason },
          'event not published yet',
        );
        // It will never be taken: the others must not wait for it.
        if (code === 'INVALID_ARGUMENT') return queued.published(undefined);
        await clock.sleep(backoffMs(attempt, RETRY, random), this.#stopping.signal);
      }
    }
  }

  #subject(tenant: string, verb: string): string {
    return subject('event', { origin: this.#options.region, tenant, entity: 'job', verb });
  }
}
