import type { MessageInitShape } from '@bufbuild/protobuf';
import { formatDot, type VersionVector } from '@meridian/causality';
import type {
  AddModelRequest,
  AddModelResponseSchema,
  ListModelsResponseSchema,
  ReadBlobRequest,
  ReadBlobResponseSchema,
  ReportReadyRequest,
  ReportReadyResponseSchema,
  StateService,
  WatchRequest,
  WatchResponseSchema,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { canonicalJson } from '@meridian/models';
import { encodeEntry, ModelIndex } from '@meridian/replica';
import { type AllowList, type CallContext, type ServiceHandlers, withSilenceLimit } from '@meridian/rpc';
import { attributeNames, type Clock } from '@meridian/runtime';
import { type Span, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { BlobStore } from '../blobs/blob-store.ts';
import { receiveModel, type UploadPart } from '../blobs/model-upload.ts';
import { modelValue } from '../catalogue/model-record.ts';
import { decodeVector } from '../codec/replication-codec.ts';
import type { ModelProblems } from '../readiness/model-problems.ts';
import type { Readiness } from '../readiness/readiness.ts';
import type { Replicator } from '../replicator/replicator.ts';
import type { Rolls } from '../roll/rolls.ts';

export interface StateServiceOptions {
  readonly region: string;
  readonly replicator: Replicator;
  readonly blobs: BlobStore;
  readonly readiness: Readiness;
  readonly problems: ModelProblems;
  readonly rolls: Pick<Rolls, 'requireFree'>;
  readonly tracer: Tracer;
  readonly clock: Clock;
}

/** Everything that is not named here is refused. */
export const STATE_SERVICE_ALLOW: AllowList = {
  watch: ['worker', 'scheduler', 'optimizer'],
  readBlob: ['worker', 'scheduler', 'optimizer'],
  reportReady: ['worker'],
  addModel: ['operator'],
  listModels: ['worker', 'scheduler', 'optimizer', 'operator', 'client'],
};

/** Uploads at once: each holds a file open, and the disk does not get faster. */
const UPLOADS_MAX = 4;
/** An operator that sends nothing for so long gives its place to others. */
const UPLOAD_SILENCE_MS = 30_000;
const WRITE_TIMEOUT_MS = 10_000;
const WORKER = /^[A-Za-z0-9_.-]{1,63}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** StateService: the door of the region's other services, and of operators, to the shared state. */
export function stateServiceHandlers(options: StateServiceOptions): ServiceHandlers<typeof StateService> {
  const service = new StateHandlers(options);
  return {
    watch: (request, context) => service.watch(request, context),
    readBlob: (request, context) => service.readBlob(request, context),
    addModel: (requests, context) => service.addModel(requests, context),
    listModels: async () => service.listModels(),
    reportReady: (request, context) => service.reportReady(request, context),
  };
}

class StateHandlers {
  readonly #options: StateServiceOptions;
  #uploads = 0;

  constructor(options: StateServiceOptions) {
    this.#options = options;
  }

  async *watch(
    request: WatchRequest,
    context: CallContext,
  ): AsyncGenerator<MessageInitShape<typeof WatchResponseSchema>> {
    this.#requireOwnRegion(context);
    const seen = decodeVector('watch', request.versionVector);
    // A drain ends the streams: readers take up again from their vector, at the next life of this process.
    const signal = AbortSignal.any([context.signal, context.draining]);
    for await (const update of this.#options.replicator.watch(seen, signal))
      yield {
        entries: update.entries.map(encodeEntry),
        versionVector: update.vector.toString(),
        caughtUp: update.caughtUp,
      };
  }

  async *readBlob(
    request: ReadBlobRequest,
    context: CallContext,
  ): AsyncGenerator<MessageInitShape<typeof ReadBlobResponseSchema>> {
    this.#requireOwnRegion(context);
    const chunks = this.#options.blobs.read(request.digest, Number(request.offset), context.signal);
    for await (const chunk of chunks) yield { chunk };
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
      const { vector } = await this.#options.replicator.write(
        { key, value, when: 'differs' },
        { timeoutMs: WRITE_TIMEOUT_MS, cause: context.cause },
      );
      // What was missing may be here now; the workers try again.
      this.#options.problems.report(digest, '');
      return { model: name, modelDigest: digest, versionVector: vector.toString() };
    } catch (error) {
      throw recorded(span, error);
    } finally {
      this.#uploads--;
      span.end();
    }
  }

  listModels(): MessageInitShape<typeof ListModelsResponseSchema> {
    const { region, replicator } = this.#options;
    const index = new ModelIndex();
    for (const entry of replicator.entries()) index.update(entry);
    const models = index.models().map(({ name, digest, manifest, dot }) => ({
      name,
      modelDigest: digest,
      manifest: canonicalJson(manifest),
      readyRegions: [...index.readyRegions(digest)].sort(),
      dot: formatDot(dot),
      problem: index.readyRegions(digest).has(region) ? '' : this.#options.problems.of(digest),
    }));
    return { models, versionVector: replicator.vector.toString() };
  }

  async reportReady(
    request: ReportReadyRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof ReportReadyResponseSchema>> {
    this.#requireOwnRegion(context);
    const { modelDigest, worker, ready, problem } = request;
    if (!DIGEST.test(modelDigest)) throw invalid('model_digest', 'DIGEST_INVALID');
    if (!WORKER.test(worker)) throw invalid('worker', 'WORKER_INVALID');
    if (ready && !this.#isKnown(modelDigest))
      throw new Failure('NOT_FOUND', `no model with digest ${modelDigest} is known here`, { reason: 'MODEL_UNKNOWN' });
    const span = this.#options.tracer.startSpan('sync.report-ready', {}, context.traceContext);
    span.setAttributes({ [attributeNames.modelDigest]: modelDigest, [attributeNames.worker]: worker });
    this.#options.problems.report(modelDigest, ready ? '' : problem);
    try {
      const vector: VersionVector = await this.#options.readiness.report(modelDigest, worker, ready, context.cause);
      return { versionVector: vector.toString() };
    } catch (error) {
      throw recorded(span, error);
    } finally {
      span.end();
    }
  }

  #isKnown(digest: string): boolean {
    const index = new ModelIndex();
    for (const entry of this.#options.replicator.entries()) index.update(entry);
    return index.modelByDigest(digest) !== undefined;
  }

  /** Other regions have their own sync service: what crosses a link goes through the brokers. */
  #requireOwnRegion({ peer }: CallContext): void {
    if (peer.region !== this.#options.region)
      throw new Failure('PERMISSION_DENIED', `this is the state of ${this.#options.region}: ask your own region`, {
        reason: 'OTHER_REGION',
      });
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
