import { subject } from '@meridian/contracts';
import type { MessageBus } from '@meridian/messaging';
import type { Entry } from '@meridian/replica';
import type { Clock, Component, Logger, Random } from '@meridian/runtime';
import { conflictMessage, conflictMessageId } from '../codec/conflict-event.ts';
import { EntryFollower } from '../outbound/entry-follower.ts';
import type { MapFile } from '../outbound/map-file.ts';
import { PublishQueue } from '../outbound/publish-queue.ts';
import type { Replicator } from '../replicator/replicator.ts';
import { type ConflictChange, ConflictWatch } from './conflict-watch.ts';

export interface ConflictEventsOptions {
  readonly bus: MessageBus;
  readonly replicator: Pick<Replicator, 'watch'>;
  /** The open conflicts that were announced: dots by key. If it is lost, all are announced again. */
  readonly announced: MapFile;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Tenants are of jobs; the shared state is everybody's. */
const TENANT = 'public';
const EVENT_OVERHEAD_BYTES = 1_024;

/**
 * Public events of conflicts of the shared state.
 *
 * 1. What is announced is kept in a file after the stream has it: a change is announced at least once, over restarts too,
 *    and again only when the process died between the two.
 */
export class ConflictEvents implements Component {
  readonly name = 'conflict events';
  readonly #options: ConflictEventsOptions;
  readonly #follower: EntryFollower;
  readonly #queue: PublishQueue;
  #watch = new ConflictWatch();
  #announced = new Map<string, string>();

  constructor(options: ConflictEventsOptions) {
    this.#options = options;
    this.#follower = new EntryFollower({
      ...options,
      onEntry: (entry) => this.#look(entry),
      remembered: () => this.#watch.open,
    });
    this.#queue = new PublishQueue({ ...options, name: this.name });
  }

  async start(): Promise<void> {
    this.#announced = await this.#options.announced.read();
    this.#watch = new ConflictWatch(this.#announced);
    this.#follower.start();
  }

  drain(signal: AbortSignal): Promise<void> {
    return this.#queue.drain(signal);
  }

  async stop(): Promise<void> {
    await this.#follower.stop();
    await this.#queue.stop();
    await this.#options.announced.settled();
  }

  #look(entry: Entry): void {
    const change = this.#watch.update(entry);
    if (change === undefined) return;
    const { bus, logger } = this.#options;
    logger.info({ key: entry.key, verb: change.verb, versions: entry.versions.length }, 'conflict');
    const parts = { origin: bus.region, tenant: TENANT, entity: 'conflict', verb: change.verb };
    const data = conflictMessage(entry);
    this.#queue.push({
      id: conflictMessageId(change),
      subject: subject('event', parts),
      event: { type: 'meridian.event.conflict-changed.v1', data, tenant: TENANT },
      bytes: entry.versions.reduce((sum, { value }) => sum + value.length + EVENT_OVERHEAD_BYTES, 0),
      stored: () => this.#remember(change),
    });
  }

  #remember({ verb, entry, dots }: ConflictChange): void {
    if (verb === 'resolved') this.#announced.delete(entry.key);
    else this.#announced.set(entry.key, dots);
    this.#options.announced.write(this.#announced).catch((error) => {
      this.#options.logger.warn({ err: error }, 'announced conflicts are not remembered; a restart repeats them');
    });
  }
}
