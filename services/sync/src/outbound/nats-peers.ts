import { create } from '@bufbuild/protobuf';
import { subject } from '@meridian/contracts';
import { DeltaSchema, FetchRequestSchema } from '@meridian/contracts/state';
import type { MessageBus } from '@meridian/messaging';
import type { Clock } from '@meridian/runtime';
import { decodeFetchAnswer, encodeDelta, encodeFetchRequest, encodeHead } from '../codec/replication-codec.ts';
import type { LinkIntervals } from '../links/link-intervals.ts';
import type { Cause, Delta, FetchAnswer, FetchRequest, Head } from '../replication/protocol.ts';
import type { Fetched, Peers } from '../replicator/ports.ts';
import { eventBytes } from './event-bytes.ts';

/** A region that is cut off does not refuse, it is silent. Shorter notices its return sooner; a slow link needs longer. */
const FETCH_TIMEOUT_MS = 2_000;

export interface NatsPeersOptions {
  readonly bus: MessageBus;
  /** Told what is sent; says how long to wait after a round. */
  readonly links: Pick<LinkIntervals, 'pushed' | 'idleRound' | 'decide'>;
  readonly clock: Clock;
}

export class NatsPeers implements Peers {
  readonly #options: NatsPeersOptions;

  constructor(options: NatsPeersOptions) {
    this.#options = options;
  }

  async fetch(peer: string, request: FetchRequest): Promise<Fetched> {
    const { bus, links, clock } = this.#options;
    const question = create(FetchRequestSchema, encodeFetchRequest(request));
    const askedAtMs = clock.monotonicMs();
    // The bus takes an answer only from the region that was asked.
    const { type, data, envelope } = await bus.request(
      subject('stateFetch', { target: peer }),
      { type: 'meridian.state.fetch.v1', data: question },
      'meridian.state.fetched.v1',
      { timeoutMs: FETCH_TIMEOUT_MS },
    );
    const tookMs = clock.monotonicMs() - askedAtMs;
    const answer = decodeFetchAnswer(data);
    if (isIdleRound(request, answer)) {
      // The question's envelope has the same headers as the answer's, about as long.
      const asked = eventBytes('meridian.state.fetch.v1', question, envelope);
      links.idleRound(peer, asked + eventBytes(type, data, envelope), tookMs);
    }
    return { answer, cause: envelope, intervalMs: links.decide(peer) };
  }

  publish(delta: Delta, causes: readonly Cause[]): void {
    const { bus, links } = this.#options;
    const data = create(DeltaSchema, encodeDelta(delta));
    const event = { type: 'meridian.state.delta.v1', data, causes } as const;
    const envelope = bus.publish(subject('delta', { origin: bus.region }), event);
    links.pushed(eventBytes(event.type, data, envelope));
  }

  publishHead(head: Head): void {
    const { bus } = this.#options;
    const event = { type: 'meridian.state.head.v1', data: encodeHead(head) } as const;
    bus.publish(subject('head', { origin: bus.region }), event);
  }
}

/** One question and one answer of a whole round, with nothing in it that was missing. */
function isIdleRound({ keys, afterKey, isRepair }: FetchRequest, answer: FetchAnswer): boolean {
  const isWholeRound = keys.length === 0 && afterKey === '' && answer.nextKey === '';
  return isWholeRound && !isRepair && answer.entries.length === 0 && !answer.isRefused;
}
