import { regionOfSource, subject } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { Incoming, MessageBus, Outgoing, Subscription } from '@meridian/messaging';
import type { Component } from '@meridian/runtime';
import type { BlobStore } from '../blobs/blob-store.ts';
import { CHUNK_BYTES_MAX } from '../blobs/chunk-window.ts';
import type { Members } from '../replicator/members.ts';

export interface BlobMessagesOptions {
  readonly bus: MessageBus;
  readonly store: BlobStore;
  readonly members: Pick<Members, 'others'>;
}

/** Gives other regions the weights that are here, a chunk for each request. */
export class BlobMessages implements Component {
  readonly name = 'blob messages';
  readonly #options: BlobMessagesOptions;
  #subscription: Subscription | undefined;

  constructor(options: BlobMessagesOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    const { bus } = this.#options;
    const questions = subject('blobChunk', { target: bus.region });
    this.#subscription = bus.serve(questions, 'meridian.blob.ask.v1', (message) => this.#answer(message));
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#subscription?.unsubscribe();
    return Promise.resolve();
  }

  async #answer(message: Incoming<'meridian.blob.ask.v1'>): Promise<Outgoing<'meridian.blob.chunk.v1'>> {
    const { store, members } = this.#options;
    const asker = regionOfSource(message.envelope.source);
    if (asker === undefined || !members.others.includes(asker))
      throw new Failure('PERMISSION_DENIED', 'weights are for members only', { reason: 'NOT_A_MEMBER' });
    const { digest, offset, maxBytes } = message.data;
    if (maxBytes < 1 || maxBytes > CHUNK_BYTES_MAX)
      throw new Failure('INVALID_ARGUMENT', `max_bytes is ${maxBytes}, expected 1 … ${CHUNK_BYTES_MAX}`, {
        reason: 'CHUNK_SIZE',
      });
    const { chunk, totalBytes } = await store.readChunk(digest, Number(offset), maxBytes);
    return { type: 'meridian.blob.chunk.v1', data: { chunk, totalBytes: BigInt(totalBytes) } };
  }
}
