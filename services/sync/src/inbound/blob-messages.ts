import { regionOfSource, subject } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { Incoming, MessageBus, Outgoing, Subscription } from '@meridian/messaging';
import type { Component } from '@meridian/runtime';
import type { BlobStore } from '../blobs/blob-store.ts';
import { decodeBlobAsk } from '../codec/blob-codec.ts';
import type { Members } from '../replicator/members.ts';
import type { Refusals } from './refusals.ts';

export interface BlobMessagesOptions {
  readonly bus: MessageBus;
  readonly store: BlobStore;
  readonly members: Pick<Members, 'others'>;
  readonly refusals: Refusals;
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
    const { store, refusals } = this.#options;
    const asker = regionOfSource(message.envelope.source);
    try {
      this.#requireMember(asker);
      const { digest, offset, bytes } = decodeBlobAsk(message.data);
      const { chunk, totalBytes } = await store.readChunk(digest, offset, bytes);
      return { type: 'meridian.blob.chunk.v1', data: { chunk, totalBytes: BigInt(totalBytes) } };
    } catch (error) {
      // To ask for what is not here is no mistake.
      if (Failure.from(error).code !== 'NOT_FOUND') refusals.add('blob', asker ?? '', error);
      throw error;
    }
  }

  #requireMember(asker: string | undefined): void {
    if (asker !== undefined && this.#options.members.others.includes(asker)) return;
    throw new Failure('PERMISSION_DENIED', 'weights are for members only', { reason: 'NOT_A_MEMBER' });
  }
}
