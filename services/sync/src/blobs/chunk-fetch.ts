import type { ChunkRange } from './chunk-window.ts';
import { ChunkWindow } from './chunk-window.ts';
import type { PartialBlob } from './partial-blob.ts';
import type { RateLimit } from './rate-limit.ts';

/** Another region's weights. */
export interface BlobSource {
  /**
   * Exactly the bytes of the range.
   * @throws Failure NOT_FOUND / BLOB_NOT_HERE, DATA_LOSS / BLOB_SIZE, or of the transport
   */
  read(region: string, blob: BlobName, range: ChunkRange, signal: AbortSignal): Promise<Uint8Array>;
}

export interface BlobName {
  readonly digest: string;
  readonly bytes: number;
}

export interface ChunkFetchOptions {
  readonly source: BlobSource;
  readonly region: string;
  readonly blob: BlobName;
  readonly partial: PartialBlob;
  readonly limit: RateLimit;
  readonly onReceived: (bytes: number) => void;
}

interface Answer {
  readonly offset: number;
  readonly chunk: Uint8Array;
}

/**
 * Brings what is missing of one blob from one region, several chunks under way. Ends when all of it is written, or with
 * the first failure; what was written until then stays. Nothing is under way when it has ended.
 */
export async function fetchChunks(options: ChunkFetchOptions, stopped: AbortSignal): Promise<void> {
  const { blob, partial, onReceived } = options;
  const window = new ChunkWindow(blob.bytes, partial.offset);
  const ended = new AbortController();
  const signal = AbortSignal.any([stopped, ended.signal]);
  const pending = new Map<number, Promise<Answer>>();
  try {
    while (!window.isComplete) {
      for (let range = window.next(); range !== undefined; range = window.next())
        pending.set(range.offset, ask(options, range, signal));
      const { offset, chunk } = await Promise.race(pending.values());
      pending.delete(offset);
      onReceived(chunk.length);
      for (const bytes of window.take(offset, chunk)) await partial.append(bytes);
    }
  } finally {
    ended.abort();
    await Promise.allSettled(pending.values());
  }
}

async function ask(o: ChunkFetchOptions, range: ChunkRange, signal: AbortSignal): Promise<Answer> {
  await o.limit.take(range.bytes, signal);
  return { offset: range.offset, chunk: await o.source.read(o.region, o.blob, range, signal) };
}
