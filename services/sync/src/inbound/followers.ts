import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  AwaitRecordsRequest,
  AwaitRecordsResponseSchema,
  ReadBlobRequest,
  ReadBlobResponseSchema,
  WatchRequest,
  WatchResponseSchema,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { decodeRecords, encodeEntry, encodeRecord } from '@meridian/replica';
import type { CallContext } from '@meridian/rpc';
import type { BlobReplicator } from '../blobs/blob-replicator.ts';
import type { BlobStore } from '../blobs/blob-store.ts';
import { decodeVector } from '../codec/replication-codec.ts';
import type { AwaitedRecords } from '../records/awaited-records.ts';
import type { Replicator } from '../replicator/replicator.ts';
import { requireOwnRegion } from './own-region.ts';

export interface FollowersOptions {
  readonly region: string;
  readonly replicator: Pick<Replicator, 'vector' | 'follow'>;
  readonly blobs: Pick<BlobStore, 'read'>;
  readonly blobReplicator: Pick<BlobReplicator, 'named' | 'isUnderWay'>;
  readonly awaited: Pick<AwaitedRecords, 'wait'>;
}

/** A worker whose weights come from another region asks for them again after so long; while they wait for a source, later. */
const BLOB_RETRY_MS = 500;
const BLOB_WAITING_RETRY_MS = 2_000;

/** `Watch`, `ReadBlob` and `AwaitRecords`: how the region's own services follow the shared state. */
export class FollowerHandlers {
  readonly #options: FollowersOptions;

  constructor(options: FollowersOptions) {
    this.#options = options;
  }

  async *watch(
    request: WatchRequest,
    context: CallContext,
  ): AsyncGenerator<MessageInitShape<typeof WatchResponseSchema>> {
    const { region, replicator } = this.#options;
    requireOwnRegion(context, region);
    const seen = decodeVector('watch', request.versionVector);
    // A drain ends the streams: readers take up again from their vector, at the next life of this process.
    const signal = AbortSignal.any([context.signal, context.draining]);
    for await (const update of replicator.follow(seen, signal))
      yield {
        entries: update.entries.map(encodeEntry),
        versionVector: update.vector.toString(),
        caughtUp: update.caughtUp,
        isWhole: update.isWhole,
      };
  }

  async *readBlob(
    request: ReadBlobRequest,
    context: CallContext,
  ): AsyncGenerator<MessageInitShape<typeof ReadBlobResponseSchema>> {
    const { region, blobs } = this.#options;
    requireOwnRegion(context, region);
    const chunks = blobs.read(request.digest, Number(request.offset), context.signal);
    try {
      for await (const chunk of chunks) yield { chunk };
    } catch (error) {
      throw this.#orOnItsWay(request.digest, error);
    }
  }

  async awaitRecords(
    request: AwaitRecordsRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof AwaitRecordsResponseSchema>> {
    const { region, replicator, awaited } = this.#options;
    requireOwnRegion(context, region);
    const records = decodeRecords(request.records);
    // A drain ends the wait: the caller asks the next life of this process.
    const signal = AbortSignal.any([context.signal, context.draining]);
    const missing = await awaited.wait(records, request.fromRegion, request.timeoutMs, signal);
    return { versionVector: replicator.vector.toString(), missing: missing.map(encodeRecord) };
  }

  /** What a known model names comes from another region: the caller is told when to ask again. */
  #orOnItsWay(digest: string, error: unknown): unknown {
    const { blobReplicator, region } = this.#options;
    if (Failure.from(error).reason !== 'BLOB_NOT_HERE' || !blobReplicator.named().has(digest)) return error;
    return new Failure('UNAVAILABLE', `${digest} is on its way to ${region}`, {
      reason: 'BLOB_ON_ITS_WAY',
      retryDelayMs: blobReplicator.isUnderWay(digest) ? BLOB_RETRY_MS : BLOB_WAITING_RETRY_MS,
    });
  }
}
