import { parseSubject, regionOfSource, subject } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { Incoming, MessageBus, Outgoing, Subscription } from '@meridian/messaging';
import type { Component } from '@meridian/runtime';
import { fittingCause } from '../codec/fitting-cause.ts';
import { decodeDelta, decodeFetchRequest, decodeHead, encodeFetchAnswer } from '../codec/replication-codec.ts';
import type { FetchRequest } from '../replication/protocol.ts';
import type { Replicator } from '../replicator/replicator.ts';
import type { Refusals } from './refusals.ts';

export interface PeerMessagesOptions {
  readonly bus: MessageBus;
  readonly replicator: Replicator;
  /** How long a start waits for every region to answer. Longer opens fewer epochs, shorter starts a cut-off region sooner. */
  readonly peerWaitMs: number;
  readonly refusals: Refusals;
}

/**
 * What the other regions send: deltas and questions.
 *
 * 1. A message counts as the region's that its envelope names, which must be the one of its subject or question.
 * 2. What cannot be taken is counted, logged at a bounded rate, and changes nothing.
 * 3. Questions are answered as soon as the log has been read: regions that start together answer each other.
 */
export class PeerMessages implements Component {
  readonly name = 'peer messages';
  readonly #options: PeerMessagesOptions;
  readonly #subscriptions: Subscription[] = [];
  #unlisten: (() => void) | undefined;

  constructor(options: PeerMessagesOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { bus, replicator, peerWaitMs } = this.#options;
    const deltas = subject('delta', { origin: '*' });
    const heads = subject('head', { origin: '*' });
    const questions = subject('stateFetch', { target: bus.region });
    this.#subscriptions.push(
      bus.subscribe(deltas, 'meridian.state.delta.v1', (message) => this.#onDelta(message)),
      bus.subscribe(heads, 'meridian.state.head.v1', (message) => this.#onHead(message)),
      bus.serve(questions, 'meridian.state.fetch.v1', (message) => this.#onQuestion(message)),
    );
    this.#unlisten = bus.onStatus((status) => {
      if (status === 'connected') replicator.connect();
    });
    replicator.connect();
    await replicator.introduced(peerWaitMs);
  }

  stop(): Promise<void> {
    this.#unlisten?.();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    return Promise.resolve();
  }

  #onDelta(message: Incoming<'meridian.state.delta.v1'>): void {
    const origin = parseSubject(message.subject)?.parts.origin;
    const { bus, refusals, replicator } = this.#options;
    if (origin === undefined || origin === bus.region) return;
    try {
      if (regionOfSource(message.envelope.source) !== origin) throw stranger(origin);
      replicator.receive(origin, decodeDelta(message.data), message.envelope);
    } catch (error) {
      refusals.add('delta', origin, error);
    }
  }

  #onHead(message: Incoming<'meridian.state.head.v1'>): void {
    const origin = parseSubject(message.subject)?.parts.origin;
    const { bus, refusals, replicator } = this.#options;
    if (origin === undefined || origin === bus.region) return;
    try {
      if (regionOfSource(message.envelope.source) !== origin) throw stranger(origin);
      replicator.receiveHead(origin, decodeHead(message.data));
    } catch (error) {
      refusals.add('head', origin, error);
    }
  }

  async #onQuestion(message: Incoming<'meridian.state.fetch.v1'>): Promise<Outgoing<'meridian.state.fetched.v1'>> {
    const request = this.#readQuestion(message);
    const answer = this.#options.replicator.answer(request);
    const causes = [fittingCause(message.envelope, answer.vector)];
    return { type: 'meridian.state.fetched.v1', data: encodeFetchAnswer(answer), causes };
  }

  #readQuestion(message: Incoming<'meridian.state.fetch.v1'>): FetchRequest {
    const asker = regionOfSource(message.envelope.source);
    try {
      const request = decodeFetchRequest(message.data);
      if (asker !== request.region) throw stranger(request.region);
      return request;
    } catch (error) {
      this.#options.refusals.add('fetch', asker, error);
      throw error;
    }
  }
}

function stranger(region: string): Failure {
  return new Failure('PERMISSION_DENIED', `${JSON.stringify(region.slice(0, 63))} is not the sender`, {
    reason: 'NOT_THE_SENDER',
  });
}
