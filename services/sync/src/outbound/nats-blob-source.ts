import { subject } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { MessageBus } from '@meridian/messaging';
import type { BlobName, BlobSource } from '../blobs/chunk-fetch.ts';
import type { ChunkRange } from '../blobs/chunk-window.ts';

/** A region that is cut off is silent. Shorter turns to another one sooner; a chunk must get through a slow link in it. */
const CHUNK_TIMEOUT_MS = 5_000;

/** Weights of other regions, a request for each chunk. */
export class NatsBlobSource implements BlobSource {
  readonly #bus: MessageBus;

  constructor(bus: MessageBus) {
    this.#bus = bus;
  }

  async read(region: string, { digest, bytes }: BlobName, range: ChunkRange, signal: AbortSignal): Promise<Uint8Array> {
    const { data } = await this.#bus.request(
      subject('blobChunk', { target: region }),
      {
        type: 'meridian.blob.ask.v1',
        data: { digest, offset: BigInt(range.offset), maxBytes: range.bytes },
      },
      'meridian.blob.chunk.v1',
      { timeoutMs: CHUNK_TIMEOUT_MS, signal },
    );
    if (data.totalBytes !== BigInt(bytes))
      throw new Failure(
        'DATA_LOSS',
        `${region} has ${data.totalBytes} bytes of ${digest}, its manifest says ${bytes}`,
        {
          reason: 'BLOB_SIZE',
        },
      );
    return data.chunk;
  }
}
