import { subject } from '@meridian/contracts';
import type { MessageBus } from '@meridian/messaging';
import { decodeFetchAnswer, encodeDelta, encodeFetchRequest, encodeHead } from '../codec/replication-codec.ts';
import type { Cause, Delta, FetchAnswer, FetchRequest, Head } from '../replication/protocol.ts';
import type { Peers } from '../replicator/ports.ts';

/** A region that is cut off does not refuse, it is silent. Shorter notices its return sooner; a slow link needs longer. */
const FETCH_TIMEOUT_MS = 2_000;

export class NatsPeers implements Peers {
  readonly #bus: MessageBus;

  constructor(bus: MessageBus) {
    this.#bus = bus;
  }

  async fetch(peer: string, request: FetchRequest): Promise<{ readonly answer: FetchAnswer; readonly cause: Cause }> {
    // The bus takes an answer only from the region that was asked.
    const { data, envelope } = await this.#bus.request(
      subject('stateFetch', { target: peer }),
      { type: 'meridian.state.fetch.v1', data: encodeFetchRequest(request) },
      'meridian.state.fetched.v1',
      { timeoutMs: FETCH_TIMEOUT_MS },
    );
    return { answer: decodeFetchAnswer(data), cause: envelope };
  }

  publish(delta: Delta, causes: readonly Cause[]): void {
    const event = { type: 'meridian.state.delta.v1', data: encodeDelta(delta), causes } as const;
    this.#bus.publish(subject('delta', { origin: this.#bus.region }), event);
  }

  publishHead(head: Head): void {
    const event = { type: 'meridian.state.head.v1', data: encodeHead(head) } as const;
    this.#bus.publish(subject('head', { origin: this.#bus.region }), event);
  }
}
