import type { Cause, Delta, FetchAnswer, FetchRequest } from '../replication/protocol.ts';
import type { Peers } from '../replicator/ports.ts';

/** Counts the answers of each peer: who still answers has a count that grows. */
export class HeardPeers implements Peers {
  readonly #peers: Peers;
  readonly #answers = new Map<string, number>();

  constructor(peers: Peers) {
    this.#peers = peers;
  }

  async fetch(peer: string, request: FetchRequest): Promise<{ readonly answer: FetchAnswer; readonly cause: Cause }> {
    const fetched = await this.#peers.fetch(peer, request);
    this.#answers.set(peer, this.answersOf(peer) + 1);
    return fetched;
  }

  publish(delta: Delta, causes: readonly Cause[]): void {
    this.#peers.publish(delta, causes);
  }

  answersOf(peer: string): number {
    return this.#answers.get(peer) ?? 0;
  }
}
