import type { EventData } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { CHUNK_BYTES_MAX } from '../blobs/chunk-window.ts';

/** A question for one chunk of weights. */
export interface ChunkQuestion {
  readonly digest: string;
  readonly offset: number;
  readonly bytes: number;
}

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** @throws Failure INVALID_ARGUMENT (DIGEST_INVALID, OFFSET_INVALID, CHUNK_SIZE). Not retryable. */
export function decodeBlobAsk({ digest, offset, maxBytes }: EventData<'meridian.blob.ask.v1'>): ChunkQuestion {
  if (!DIGEST.test(digest)) throw invalid('expected sha256: and 64 lower-case hexadecimal digits', 'DIGEST_INVALID');
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`offset ${offset}`, 'OFFSET_INVALID');
  if (maxBytes < 1 || maxBytes > CHUNK_BYTES_MAX)
    throw invalid(`max_bytes is ${maxBytes}, expected 1 … ${CHUNK_BYTES_MAX}`, 'CHUNK_SIZE');
  return { digest, offset: Number(offset), bytes: maxBytes };
}

function invalid(message: string, reason: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason });
}
