import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { formatDot, VersionVector } from '@meridian/causality';
import { STREAMS, subject } from '@meridian/contracts';
import { EntrySchema, type SeenVersion, type SeenVersionSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import type { MessageBus } from '@meridian/messaging';
import { CONFIG_PREFIX, decodeEntry, type Entry, encodeEntry, type Version } from '@meridian/replica';
import type { Clock, Component, Logger, Random } from '@meridian/runtime';
import { EntryFollower } from '../outbound/entry-follower.ts';
import { PublishQueue } from '../outbound/publish-queue.ts';
import type { Replicator } from '../replicator/replicator.ts';

export interface HistoryOptions {
  readonly bus: MessageBus;
  readonly replicator: Pick<Replicator, 'watch' | 'get'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface SeenVersionOf {
  readonly version: Version;
  /** When this region saw it, wall ms. */
  readonly seenAtMs: number;
}

const TYPE = 'meridian.state.version.v1';
/** Of one key: what the stream keeps of a subject. */
export const VERSIONS_KEPT_MAX = STREAMS.find(({ name }) => name === 'HISTORY')?.messagesPerSubjectMax ?? 1;
/** Each takes a consumer in the broker's memory. */
const HISTORY_READS_MAX = 8;
const VERSION_OVERHEAD_BYTES = 512;

/**
 * Keeps the versions of configuration keys that this region has seen, on stream HISTORY.
 *
 * 1. A version is published after the state log has it, at least once; a repetition has the same id, and is shown once.
 * 2. A version that came and was superseded while this region was cut off or not running was never seen here.
 */
export class History implements Component {
  readonly name = 'history';
  readonly #options: HistoryOptions;
  readonly #follower: EntryFollower;
  readonly #queue: PublishQueue;
  /** Dots of the versions of each key that there is, as they were looked at last. */
  readonly #looked = new Map<string, ReadonlySet<string>>();
  #reads = 0;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#follower = new EntryFollower({
      ...options,
      onEntry: (entry) => this.#look(entry),
      remembered: () => this.#looked.keys(),
    });
    this.#queue = new PublishQueue({ ...options, name: this.name, known: () => this.#storedDots() });
  }

  start(): Promise<void> {
    this.#follower.start();
    return Promise.resolve();
  }

  drain(signal: AbortSignal): Promise<void> {
    return this.#queue.drain(signal);
  }

  async stop(): Promise<void> {
    await this.#follower.stop();
    await this.#queue.stop();
  }

  /**
   * The key's versions that were seen here, newest first.
   * @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_READS; UNAVAILABLE when the stream cannot be read. Both retryable.
   */
  async read(key: string): Promise<readonly SeenVersionOf[]> {
    if (this.#reads >= HISTORY_READS_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', `${HISTORY_READS_MAX} histories are being read`, {
        reason: 'TOO_MANY_READS',
      });
    this.#reads++;
    try {
      return await this.#read(key);
    } finally {
      this.#reads--;
    }
  }

  async #read(key: string): Promise<readonly SeenVersionOf[]> {
    const { bus, clock, replicator } = this.#options;
    const seen = new Map<string, SeenVersionOf>();
    for await (const { data, envelope } of bus.allBySubject('HISTORY', this.#subject(key), TYPE)) {
      const version = this.#decode(data);
      if (version !== undefined && !seen.has(formatDot(version.dot)))
        seen.set(formatDot(version.dot), { version, seenAtMs: envelope.timeMs });
    }
    // What was written just now is on its way into the stream.
    for (const version of replicator.get(key)?.versions ?? []) {
      const dot = formatDot(version.dot);
      if (!seen.has(dot)) seen.set(dot, { version, seenAtMs: clock.nowMs() });
    }
    return [...seen.values()].reverse();
  }

  #look(entry: Entry): void {
    const { key, versions } = entry;
    if (!key.startsWith(CONFIG_PREFIX)) return;
    const before = this.#looked.get(key);
    for (const version of versions) {
      const id = formatDot(version.dot);
      if (before?.has(id)) continue;
      const event = { type: TYPE, data: encodeSeen(key, version) } as const;
      const bytes = version.value.length + VERSION_OVERHEAD_BYTES;
      this.#queue.push({ id, subject: this.#subject(key), event, bytes });
    }
    if (versions.length === 0) this.#looked.delete(key);
    else this.#looked.set(key, new Set(versions.map(({ dot }) => formatDot(dot))));
  }

  async #storedDots(): Promise<ReadonlySet<string>> {
    const dots = new Set<string>();
    for await (const { data } of this.#options.bus.allBySubject('HISTORY', this.#subject('*'), TYPE))
      if (data.version !== undefined) dots.add(data.version.dot);
    return dots;
  }

  #decode(seen: SeenVersion): Version | undefined {
    try {
      return decodeSeen(seen);
    } catch (error) {
      this.#options.logger.error(
        { err: error, key: seen.key.slice(0, 200) },
        'a version of the history cannot be read',
      );
      return undefined;
    }
  }

  #subject(key: string): string {
    return subject('history', { origin: this.#options.bus.region, key });
  }
}

/** @throws Failure INVALID_ARGUMENT / ENTRY_INVALID naming what is wrong. Not retryable. */
export function decodeSeen({ key, version }: SeenVersion): Version | undefined {
  if (version === undefined) return undefined;
  return decodeEntry(create(EntrySchema, { key, versions: [version], context: version.dot })).versions[0];
}

export function encodeSeen(key: string, version: Version): MessageInitShape<typeof SeenVersionSchema> {
  const [encoded] = encodeEntry({ key, versions: [version], context: VersionVector.EMPTY }).versions ?? [];
  return { key, ...(encoded && { version: encoded }) };
}
