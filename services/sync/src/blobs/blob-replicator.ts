import { Failure } from '@meridian/failure';
import { MODEL_PREFIX, parseStateKey, READY_PREFIX } from '@meridian/replica';
import type { Clock, Component, Logger, Random, Timer } from '@meridian/runtime';
import type { Members } from '../replicator/members.ts';
import type { Replicator } from '../replicator/replicator.ts';
import type { BlobMetrics } from './blob-metrics.ts';
import type { BlobStore } from './blob-store.ts';
import { type BlobSource, fetchChunks } from './chunk-fetch.ts';
import { type FetchOutcome, FetchPlan, type PlannedFetch } from './fetch-plan.ts';
import type { PartialBlob } from './partial-blob.ts';
import { RateLimit } from './rate-limit.ts';
import { WantedBlobs } from './wanted-blobs.ts';

export interface BlobReplicatorOptions {
  readonly members: Pick<Members, 'others'>;
  readonly replicator: Pick<Replicator, 'entries' | 'onChange'>;
  readonly store: BlobStore;
  readonly source: BlobSource;
  readonly bytesPerSecondMax: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: BlobMetrics;
}

/** From a change of the state to the look at it: one look serves many changes. */
const LOOK_DELAY_MS = 50;
/** After a look that failed: the disk may come back. */
const LOOK_AGAIN_MS = 5_000;

/**
 * Brings the weights that models of the shared state name to this region.
 *
 * 1. A blob is here only once its bytes were verified; a source that sent others is left for the next one.
 * 2. What came stays on the disk, over failures and restarts: the next attempt goes on behind it.
 * 3. Nothing that fails here stops the process, or another blob.
 */
export class BlobReplicator implements Component {
  readonly name = 'blob replication';
  readonly #o: BlobReplicatorOptions;
  readonly #wanted: WantedBlobs;
  readonly #plan: FetchPlan;
  readonly #limit: RateLimit;
  readonly #stopped = new AbortController();
  readonly #fetches = new Set<Promise<void>>();
  /** Known to be in the store. */
  readonly #here = new Set<string>();
  #unlisten: () => void = () => undefined;
  #lookTimer: Timer | undefined;
  #lastLook: Promise<void> = Promise.resolve();
  #retryTimer: Timer | undefined;

  constructor(options: BlobReplicatorOptions) {
    this.#o = options;
    this.#wanted = new WantedBlobs(options.members);
    this.#plan = new FetchPlan(options.random);
    this.#limit = new RateLimit(options.bytesPerSecondMax, options.clock);
  }

  async start(): Promise<void> {
    this.#o.metrics.observe(() => this.#plan.size);
    this.#unlisten = this.#o.replicator.onChange((keys) => {
      if (keys.length === 0 || keys.some(namesBlobs)) this.#lookSoon();
    });
    this.#lookSoon();
  }

  async stop(): Promise<void> {
    this.#unlisten();
    this.#stopped.abort(new Failure('CANCELLED', 'the sync service is stopping', { reason: 'STOPPING' }));
    this.#lookTimer?.cancel();
    this.#retryTimer?.cancel();
    await this.#lastLook;
    await Promise.all(this.#fetches);
  }

  /** Digests that known models name: they come here, if any region has them. */
  named(): ReadonlySet<string> {
    this.#wanted.update(this.#o.replicator.entries());
    return this.#wanted.named();
  }

  /** A blob was taken away from the store. */
  removed(digest: string): void {
    this.#here.delete(digest);
    this.#lookSoon();
  }

  isUnderWay(digest: string): boolean {
    return this.#plan.isUnderWay(digest);
  }

  /** Why a model's weights are not here, for people; empty when they are, or come. */
  problemOf(modelDigest: string): string {
    const obstacles = this.#wanted.digestsOf(modelDigest).map((digest) => this.#plan.obstacle(digest));
    if (obstacles.includes('no-room'))
      return 'its weights do not fit on the disk of this region (MERIDIAN_BLOB_BYTES_MAX)';
    if (obstacles.includes('no-source'))
      return 'its weights are not here, and no region that could be asked has given them; they are asked again';
    return '';
  }

  #lookSoon(delayMs = LOOK_DELAY_MS): void {
    if (this.#stopped.signal.aborted) return;
    this.#lookTimer ??= this.#o.clock.setTimer(delayMs, () => {
      this.#lookTimer = undefined;
      this.#lastLook = this.#lastLook.then(() => this.#tryToLook());
    });
  }

  async #tryToLook(): Promise<void> {
    try {
      await this.#look();
    } catch (error) {
      this.#o.logger.error({ err: error }, 'the look for missing weights failed; trying again');
      this.#lookSoon(LOOK_AGAIN_MS);
    }
  }

  /** Finds out what is missing. */
  async #look(): Promise<void> {
    const { replicator, store } = this.#o;
    this.#wanted.update(replicator.entries());
    const wanted = this.#wanted.blobs();
    for (const { digest } of wanted)
      if (!this.#here.has(digest) && (await store.bytesOf(digest)) !== undefined) this.#here.add(digest);
    this.#plan.want(wanted.filter(({ digest }) => !this.#here.has(digest)));
    const named = this.#wanted.named();
    for (const digest of await store.partials())
      if (!named.has(digest) && !this.#plan.isUnderWay(digest)) await store.dropPartial(digest);
    this.#pump();
  }

  #pump(): void {
    const { clock } = this.#o;
    this.#retryTimer?.cancel();
    this.#retryTimer = undefined;
    if (this.#stopped.signal.aborted) return;
    const nowMs = clock.monotonicMs();
    for (let next = this.#plan.begin(nowMs); next !== undefined; next = this.#plan.begin(nowMs)) {
      const fetch = this.#fetch(next).finally(() => this.#fetches.delete(fetch));
      this.#fetches.add(fetch);
    }
    const nextAtMs = this.#plan.nextAtMs();
    if (nextAtMs !== undefined) this.#retryTimer = clock.setTimer(nextAtMs - nowMs, () => this.#pump());
  }

  async #fetch(planned: PlannedFetch): Promise<void> {
    const { store, logger, clock } = this.#o;
    const { digest, bytes } = planned;
    let partial: PartialBlob | undefined;
    let [fromBytes, outcome]: [number, FetchOutcome] = [0, 'here'];
    let isWrong = false;
    try {
      partial = await store.resume(digest, bytes);
      fromBytes = partial.offset;
      await this.#bring(planned, partial);
      this.#here.add(digest);
      logger.info({ digest, peer: planned.source, bytes, fromBytes }, 'weights came from another region');
    } catch (error) {
      outcome = outcomeOf(error);
      isWrong = error instanceof Failure && error.reason === 'BLOB_DIGEST';
      if (!this.#stopped.signal.aborted) this.#log(planned, error, outcome);
    }
    await partial?.close().catch((error) => logger.warn({ err: error, digest }, 'a partial file could not be closed'));
    if (this.#stopped.signal.aborted) return;
    this.#o.metrics.ended(outcome, planned.source);
    this.#plan.end(planned, outcome, !isWrong && (partial?.offset ?? 0) > fromBytes, clock.monotonicMs());
    this.#pump();
  }

  async #bring(planned: PlannedFetch, partial: PartialBlob): Promise<void> {
    const { source, metrics } = this.#o;
    const onReceived = (bytes: number) => metrics.received(bytes, planned.source);
    const options = { source, region: planned.source, blob: planned, partial, limit: this.#limit, onReceived };
    await fetchChunks(options, this.#stopped.signal);
    await partial.finish();
  }

  #log({ digest, source }: PlannedFetch, error: unknown, outcome: FetchOutcome): void {
    const fields = { err: error, digest, peer: source, outcome };
    // That a region does not have them is an answer like any other.
    if (Failure.from(error).reason === 'BLOB_NOT_HERE') this.#o.logger.debug(fields, 'not there');
    else this.#o.logger.warn(fields, 'weights could not be fetched: another source, or later');
  }
}

/** What the asked region said is a refusal; what nobody said is silence; errors of the system are this region's disk. */
function outcomeOf(error: unknown): FetchOutcome {
  if (!(error instanceof Failure) || error.reason === 'BLOB_SPACE') return 'no-room';
  return error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED' ? 'silent' : 'refused';
}

/** Where weights are named, and where they are. */
/** Or says who can be asked for them. */
function namesBlobs(key: string): boolean {
  return key.startsWith(MODEL_PREFIX) || key.startsWith(READY_PREFIX) || parseStateKey(key)?.kind === 'member';
}
