import type { MessageInitShape } from '@bufbuild/protobuf';
import { formatDot, type VersionVector } from '@meridian/causality';
import type {
  AddModelRequest,
  AddModelResponseSchema,
  ListModelsResponseSchema,
  RemoveModelRequest,
  RemoveModelResponseSchema,
  ReportReadyRequest,
  ReportReadyResponseSchema,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { canonicalJson, DEFAULT_MODEL } from '@meridian/models';
import { currentValue, MODEL_PREFIX, ModelIndex, modelKey, READY_PREFIX } from '@meridian/replica';
import { type CallContext, withSilenceLimit } from '@meridian/rpc';
import { attributeNames, type Clock } from '@meridian/runtime';
import { type Span, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { BlobReplicator } from '../blobs/blob-replicator.ts';
import type { BlobStore } from '../blobs/blob-store.ts';
import { receiveModel, type UploadPart } from '../blobs/model-upload.ts';
import { modelValue } from '../catalogue/model-record.ts';
import type { ModelProblems } from '../readiness/model-problems.ts';
import { READY_LEASE_MAX_MS, type Readiness } from '../readiness/readiness.ts';
import type { Members } from '../replicator/members.ts';
import type { Replicator } from '../replicator/replicator.ts';
import type { Rolls } from '../roll/rolls.ts';
import { authorOf } from './author.ts';
import { requireOwnRegion } from './own-region.ts';

export interface ModelsOptions {
  readonly region: string;
  readonly members: Pick<Members, 'active'>;
  readonly replicator: Replicator;
  readonly blobs: BlobStore;
  readonly blobReplicator: Pick<BlobReplicator, 'problemOf'>;
  readonly readiness: Readiness;
  readonly problems: ModelProblems;
  readonly rolls: Pick<Rolls, 'requireFree' | 'requireUnused'>;
  readonly tracer: Tracer;
  readonly clock: Clock;
}

/** Uploads at once: each holds a file open, and the disk does not get faster. */
const UPLOADS_MAX = 4;
/** An operator that sends nothing for so long gives its place to others. */
const UPLOAD_SILENCE_MS = 30_000;
const WRITE_TIMEOUT_MS = 10_000;
/** Of a worker that does not say how soon it repeats its word: it tries to load the model again within a minute. */
const PROBLEM_LEASE_DEFAULT_MS = 120_000;
const WORKER = /^[A-Za-z0-9_.-]{1,63}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** The catalogue of models, and what the region's workers report of it. */
export class ModelHandlers {
  readonly #options: ModelsOptions;
  #uploads = 0;

  constructor(options: ModelsOptions) {
    this.#options = options;
  }

  async addModel(
    requests: AsyncIterable<AddModelRequest>,
    context: CallContext,
  ): Promise<MessageInitShape<typeof AddModelResponseSchema>> {
    if (this.#uploads >= UPLOADS_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', `${UPLOADS_MAX} models are being added`, { reason: 'TOO_MANY_UPLOADS' });
    this.#uploads++;
    const span = this.#options.tracer.startSpan('sync.add-model', {}, context.traceContext);
    const { blobs, rolls, clock } = this.#options;
    const heard = withSilenceLimit(requests, { silenceMs: UPLOAD_SILENCE_MS, clock });
    try {
      const manifest = await receiveModel(uploadParts(heard), blobs, (wanted) => rolls.requireFree(wanted));
      const { key, value, name, digest } = modelValue(manifest);
      span.setAttributes({ [attributeNames.model]: name, [attributeNames.modelDigest]: digest });
      // The upload may have taken minutes: an alias may have come to need the version that it replaces.
      rolls.requireFree(manifest);
      const { vector } = await this.#options.replicator.write(
        { key, value, when: 'differs', author: authorOf(context.peer) },
        { timeoutMs: WRITE_TIMEOUT_MS, cause: context.cause },
      );
      // What was missing may be here now; the workers try again.
      this.#options.problems.forget(digest);
      return { model: name, modelDigest: digest, versionVector: vector.toString() };
    } catch (error) {
      throw recorded(span, error);
    } finally {
      this.#uploads--;
      span.end();
    }
  }

  listModels(): MessageInitShape<typeof ListModelsResponseSchema> {
    const { members, replicator, blobReplicator, readiness, problems } = this.#options;
    const active = new Set(members.active);
    const index = new ModelIndex();
    for (const prefix of [MODEL_PREFIX, READY_PREFIX])
      for (const entry of replicator.entries(prefix)) index.update(entry);
    const models = index.models().map(({ name, digest, manifest, dot }) => ({
      name,
      modelDigest: digest,
      manifest: canonicalJson(manifest),
      readyRegions: [...active.intersection(index.readyRegions(digest))].sort(),
      dot: formatDot(dot),
      problem: readiness.isReady(digest) ? '' : problems.of(digest) || blobReplicator.problemOf(digest),
    }));
    return { models, versionVector: replicator.vector.toString(), regions: [...active].sort() };
  }

  async removeModel(
    { name, force }: RemoveModelRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof RemoveModelResponseSchema>> {
    const { replicator, rolls } = this.#options;
    const key = modelKey(name);
    if (currentValue(replicator.get(key)) === undefined)
      throw new Failure('NOT_FOUND', `no model ${JSON.stringify(name.slice(0, 63))} is known here`, {
        reason: 'MODEL_UNKNOWN',
      });
    if (name === DEFAULT_MODEL && !force)
      throw new Failure('FAILED_PRECONDITION', `${name} is the model of all who name none: removing it takes force`, {
        reason: 'DEFAULT_MODEL',
      });
    if (!force) rolls.requireUnused(name);
    const { vector } = await replicator.write(
      { key, value: undefined, when: 'differs', author: authorOf(context.peer) },
      { timeoutMs: WRITE_TIMEOUT_MS, cause: context.cause },
    );
    return { versionVector: vector.toString() };
  }

  async reportReady(
    request: ReportReadyRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof ReportReadyResponseSchema>> {
    requireOwnRegion(context, this.#options.region);
    const { modelDigest, worker, ready, problem, leaseMs } = request;
    if (!DIGEST.test(modelDigest)) throw invalid('model_digest', 'DIGEST_INVALID');
    if (!WORKER.test(worker)) throw invalid('worker', 'WORKER_INVALID');
    if (ready && !this.#isKnown(modelDigest))
      throw new Failure('NOT_FOUND', `no model with digest ${modelDigest} is known here`, { reason: 'MODEL_UNKNOWN' });
    const span = this.#options.tracer.startSpan('sync.report-ready', {}, context.traceContext);
    span.setAttributes({ [attributeNames.modelDigest]: modelDigest, [attributeNames.worker]: worker });
    const problemLeaseMs = Math.min(leaseMs || PROBLEM_LEASE_DEFAULT_MS, READY_LEASE_MAX_MS);
    this.#options.problems.report(modelDigest, worker, ready ? '' : problem, problemLeaseMs);
    try {
      const vector: VersionVector = await this.#options.readiness.report(
        modelDigest,
        worker,
        { isReady: ready, leaseMs },
        context.cause,
      );
      return { versionVector: vector.toString() };
    } catch (error) {
      throw recorded(span, error);
    } finally {
      span.end();
    }
  }

  #isKnown(digest: string): boolean {
    const index = new ModelIndex();
    for (const entry of this.#options.replicator.entries(MODEL_PREFIX)) index.update(entry);
    return index.modelByDigest(digest) !== undefined;
  }
}

async function* uploadParts(requests: AsyncIterable<AddModelRequest>): AsyncGenerator<UploadPart> {
  for await (const { part } of requests) {
    if (part.case === 'manifest') yield { kind: 'manifest', text: part.value };
    else if (part.case === 'start') yield { kind: 'start', digest: part.value.digest };
    else if (part.case === 'chunk') yield { kind: 'chunk', bytes: part.value };
  }
}

function recorded(span: Span, error: unknown): unknown {
  const failure = Failure.from(error);
  span.setAttributes({ [attributeNames.code]: failure.code, [attributeNames.reason]: failure.reason });
  span.setStatus({ code: SpanStatusCode.ERROR, message: failure.reason });
  return error;
}

function invalid(field: string, reason: string): Failure {
  return new Failure('INVALID_ARGUMENT', `${field} is not valid`, { reason });
}
