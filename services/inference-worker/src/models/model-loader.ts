import type { StateService } from '@meridian/contracts/state';
import { type Code, Failure } from '@meridian/failure';
import { blobsOf, canonicalJson, DEFAULT_MODEL, type Manifest, modelDigest, parseManifest } from '@meridian/models';
import type { Replica } from '@meridian/replica';
import type { RpcClient } from '@meridian/rpc';
import { backoffMs, type Clock, type Component, type Logger, type Random } from '@meridian/runtime';
import type { PreparedModel } from '../child/loaded-models.ts';
import type { ChildPool } from '../child/pool.ts';
import { requireGolden } from './golden-pictures.ts';
import type { KeptManifests } from './kept-manifests.ts';
import type { ModelStore } from './model-store.ts';
import { ReadinessReports } from './readiness-reports.ts';

export interface ModelLoaderOptions {
  readonly replica: Replica;
  readonly store: Pick<ModelStore, 'start' | 'ensure'>;
  readonly manifests: Pick<KeptManifests, 'start' | 'find' | 'keep'>;
  readonly slots: Pick<ChildPool, 'load' | 'forget' | 'run'>;
  /** Of the region's sync service. */
  readonly client: Pick<RpcClient<typeof StateService>, 'reportReady'>;
  readonly worker: string;
  /** Claims for the model can be taken from now on. */
  readonly onServed: (model: PreparedModel) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const RETRY = { initialMs: 500, maxMs: 60_000 };
/** Told by the sync service, when the weights come from another region; no longer. */
const RETRY_TOLD_MAX_MS = 5_000;
/** A model that ends the inference process at its golden pictures so often in a row is not tried again. */
const LOADS_MAX = 3;
/** What is wrong with the model itself. */
const FINAL_CODES: ReadonlySet<Code> = new Set(['INVALID_ARGUMENT', 'FAILED_PRECONDITION']);
/** Manifests that are remembered, old versions included; more than a region can sensibly run. */
const MODELS_MAX = 256;

interface Failed {
  readonly failure: Failure;
  readonly count: number;
  /** Not tried again before; infinite: never. */
  readonly untilMs: number;
  /** The weights were here: the inference processes had it, or were to have it. */
  readonly isLoad: boolean;
}

/**
 * Gets every model of the shared state from its record to "can be run here", and keeps looking for new ones.
 *
 * 1. A model is served, and reported ready, only after every inference process has loaded it and run it once, and it has
 *    answered its golden pictures.
 * 2. One model at a time is fetched and loaded, the default one first; one that fails is tried again after a back-off
 *    and holds up no other. Claims do not make one that was loaded in vain load again sooner.
 * 3. What trying again cannot mend is told to the sync service, for the people who added the model. A version that was loaded
 *    and does not fit its manifest or its golden pictures is not loaded again in this life of the worker: nothing about
 *    it can change.
 * 4. A version that was served can be served again while its weights are here or in the region, after a restart too, even
 *    when the name has a newer one: claims may still name it. It is never replaced by another version.
 */
export class ModelLoader implements Component {
  readonly name = 'models';
  readonly #o: ModelLoaderOptions;
  readonly #served = new Map<string, PreparedModel>();
  readonly #acquiring = new Map<string, Promise<PreparedModel>>();
  /** Of versions that were not served since. The oldest makes room. */
  readonly #failures = new Map<string, Failed>();
  readonly #reports: ReadinessReports;
  readonly #stopping = new AbortController();
  #numbers = 0;
  #unlisten: () => void = () => undefined;
  #passing = false;
  #again = false;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: ModelLoaderOptions) {
    this.#o = options;
    const isKnown = (digest: string) => options.replica.modelByDigest(digest) !== undefined;
    this.#reports = new ReadinessReports({ ...options, isKnown });
  }

  async start(): Promise<void> {
    await Promise.all([this.#o.store.start(), this.#o.manifests.start()]);
    this.#unlisten = this.#o.replica.onChange(() => this.#pass());
    this.#pass();
  }

  /** Tells the sync service that this worker takes no more. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#stopping.abort(new Failure('CANCELLED', 'the worker is stopping'));
    this.#unlisten();
    await this.#reports.drain(signal);
  }

  stop(): Promise<void> {
    this.#stopping.abort(new Failure('CANCELLED', 'the worker is stopping'));
    this.#reports.stop();
    this.#unlisten();
    return Promise.resolve();
  }

  /** Whether there is a model whose tasks this worker can run. */
  get servesAny(): boolean {
    return this.#served.size > 0;
  }

  served(digest: string): PreparedModel | undefined {
    return this.#served.get(digest);
  }

  /**
   * The model of this digest and no other, fetched and loaded when it is not here yet.
   * @throws Failure NOT_FOUND / MODEL_UNKNOWN (retryable: another region or worker may have it), or why it does not load.
   */
  acquire(digest: string): Promise<PreparedModel> {
    const known = this.#served.get(digest);
    if (known !== undefined) return Promise.resolve(known);
    const acquiring = this.#acquiring.get(digest);
    if (acquiring !== undefined) return acquiring;
    const next = this.#queue.then(() => this.#acquire(digest)).finally(() => this.#acquiring.delete(digest));
    this.#acquiring.set(digest, next);
    this.#queue = next.catch(() => undefined);
    return next;
  }

  /** Looks for models that are not served yet; at most one look at a time. */
  #pass(): void {
    if (this.#passing) {
      this.#again = true;
      return;
    }
    this.#passing = true;
    this.#again = false;
    void this.#look().finally(() => {
      this.#passing = false;
      if (this.#again && !this.#stopping.signal.aborted) this.#pass();
    });
  }

  async #look(): Promise<void> {
    const models = [...this.#o.replica.models()];
    models.sort((a, b) => Number(b.name === DEFAULT_MODEL) - Number(a.name === DEFAULT_MODEL));
    for (const { digest, name } of models) {
      if (this.#stopping.signal.aborted) return;
      const failed = this.#failures.get(digest);
      if (this.#served.has(digest) || (failed !== undefined && failed.untilMs > this.#o.clock.monotonicMs())) continue;
      await this.acquire(digest).catch((thrown) => {
        // That it was loaded in vain has been noted already.
        if (this.#failures.get(digest) === failed) this.#failed(digest, name, Failure.from(thrown), false);
      });
    }
  }

  #failed(digest: string, name: string, failure: Failure, isLoad: boolean): void {
    const { clock, random, logger } = this.#o;
    const before = this.#failures.get(digest);
    if (this.#stopping.signal.aborted) return;
    const isOnItsWay = failure.reason === 'BLOB_ON_ITS_WAY';
    const count = (before?.count ?? 0) + (isOnItsWay ? 0 : 1);
    const isFinal = isLoad && isForGood(failure, count);
    const delayMs = isOnItsWay
      ? Math.min(failure.retryDelayMs ?? RETRY_TOLD_MAX_MS, RETRY_TOLD_MAX_MS)
      : backoffMs(count - 1, RETRY, random);
    const untilMs = isFinal ? Number.POSITIVE_INFINITY : clock.monotonicMs() + delayMs;
    this.#remember(digest, { failure, count, untilMs, isLoad });
    const fields = { err: failure, model: name, digest, ...(!isFinal && { delayMs }) };
    if (isFinal) logger.error(fields, 'model does not work; this version is not tried again');
    else if (!isOnItsWay) logger.warn(fields, 'model cannot be served yet');
    else if (before === undefined) logger.info(fields, 'the weights of a model are on their way');
    if (!isFinal) clock.setTimer(delayMs + 1, () => void (this.#stopping.signal.aborted || this.#pass()));
    if (failure.retryable && !isFinal) this.#reports.withdraw(digest);
    else this.#reports.problem(digest, failure.message);
  }

  #remember(digest: string, failed: Failed): void {
    this.#failures.delete(digest);
    this.#failures.set(digest, failed);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MODELS_MAX && oldest !== undefined) this.#failures.delete(oldest);
  }

  async #acquire(digest: string): Promise<PreparedModel> {
    if (this.#served.size >= MODELS_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', `this worker serves ${MODELS_MAX} models already`, {
        reason: 'TOO_MANY_MODELS',
      });
    const failed = this.#failures.get(digest);
    if (failed?.isLoad && failed.untilMs > this.#o.clock.monotonicMs()) throw failed.failure;
    const manifest = await this.#manifestOf(digest);
    const model = await this.#prepare(manifest, digest);
    await this.#load(model, manifest);
    await this.#o.manifests.keep(digest, manifest);
    this.#served.set(digest, model);
    this.#failures.delete(digest);
    this.#o.logger.info({ model: model.name, digest: model.digest }, 'model loaded');
    this.#o.onServed(model);
    this.#reports.ready(model.digest);
    return model;
  }

  async #load(model: PreparedModel, manifest: Manifest): Promise<void> {
    const { slots } = this.#o;
    try {
      await slots.load(model);
      await requireGolden(model, manifest, this.#o, this.#stopping.signal);
    } catch (thrown) {
      slots.forget(model);
      const failure = Failure.from(thrown);
      this.#failed(model.digest, model.name, failure, true);
      throw failure;
    }
  }

  async #manifestOf(digest: string): Promise<Manifest> {
    const { replica, manifests } = this.#o;
    const entry = replica.modelByDigest(digest);
    if (entry === undefined) {
      const kept = await manifests.find(digest);
      if (kept !== undefined) return kept;
      throw unknownModel(digest);
    }
    const manifest = parseManifest(entry.manifest);
    if (modelDigest(manifest) === digest) return manifest;
    throw new Failure('DATA_LOSS', `the manifest of ${entry.name} is not the one that its digest names`, {
      reason: 'MODEL_DIGEST_MISMATCH',
    });
  }

  async #prepare(manifest: Manifest, digest: string): Promise<PreparedModel> {
    const files: Record<string, string> = {};
    for (const blob of blobsOf(manifest)) files[blob.digest] = await this.#o.store.ensure(blob, this.#stopping.signal);
    this.#numbers += 1;
    const loadOrder = JSON.stringify({ manifest: canonicalJson(manifest), files });
    return { number: this.#numbers, name: manifest.name, digest, timeoutMs: manifest.timeoutMs, loadOrder };
  }
}

/** @param count of failures, this one included. One that ended the process once may have been the process's fault. */
function isForGood({ code, retryable }: Failure, count: number): boolean {
  if (code === 'UNAVAILABLE' || code === 'NOT_FOUND') return false;
  return count >= LOADS_MAX || (!retryable && FINAL_CODES.has(code));
}

function unknownModel(digest: string): Failure {
  return new Failure('NOT_FOUND', `no model with digest ${digest} is known in this region`, {
    reason: 'MODEL_UNKNOWN',
    retryable: true,
  });
}
