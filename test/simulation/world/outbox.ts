import type { Delta, Event, FetchAnswer, FetchRequest, Head } from '../../../services/sync/src/replication/protocol.ts';
import type { IdSet } from '../oracle/id-set.ts';
import { Violation } from '../violation.ts';
import type { Addressee, Host } from './surroundings.ts';

interface Question {
  readonly peer: string;
  readonly request: FetchRequest;
}

/** What a process has to do with others: messages to all, questions and answers. */
export class Outbox {
  readonly #process: Host;
  readonly #questions = new Map<number, Question>();
  /** What the peer had seen when it gave the first page of a round. */
  readonly #rounds = new Map<string, IdSet>();

  constructor(process: Host) {
    this.#process = process;
  }

  clear(): void {
    this.#questions.clear();
    this.#rounds.clear();
  }

  head(head: Head): void {
    const { region: origin } = this.#process;
    this.#toAll((peer) => peer.step({ kind: 'head', origin, head }));
  }

  /** `dies` is asked after each peer. */
  publish(delta: Delta, dies: () => boolean): void {
    const { region: origin, world } = this.#process;
    world.published(origin, delta);
    this.#toAll((peer) => {
      world.oracle.arrived(delta.entries);
      peer.step({ kind: 'delta', origin, delta });
    }, dies);
  }

  fetch(peer: string, request: FetchRequest, timeoutMs: number): void {
    const { world, region, life } = this.#process;
    const question = world.nextId();
    this.#questions.set(question, { peer, request });
    world.network.send(region, peer, () =>
      world.deliver(peer, (answerer) =>
        answerer.ask(request, (answer, covered) => {
          world.network.send(answerer.region, region, () =>
            this.#process.whenAwake(() => this.#answered(question, answer, covered), life),
          );
        }),
      ),
    );
    world.heap.after(timeoutMs, () => this.#process.whenAwake(() => this.#timedOut(question), life));
  }

  /** S18: a whole round brings all that the peer had seen at its beginning. */
  noticed(event: Event, peer: string): void {
    if (event === 'held' || event === 'fetch-failed') this.#rounds.delete(peer);
    if (event !== 'fetch-completed') return;
    const expected = this.#rounds.get(peer);
    this.#rounds.delete(peer);
    if (expected === undefined) return;
    const { world, store, name } = this.#process;
    for (const id of expected.without(store.known)) {
      const [deletion] = world.oracle.stability.thatCover(world.oracle.writes.at(id));
      if (deletion === undefined)
        throw new Violation('S18', `${name} has fetched all of ${peer} without ${world.oracle.writes.describe([id])}`);
    }
  }

  #answered(question: number, answer: FetchAnswer, covered: IdSet): void {
    const asked = this.#questions.get(question);
    if (asked === undefined || !this.#questions.delete(question)) return;
    const { peer, request } = asked;
    const { world } = this.#process;
    const isRound = request.keys.length === 0 && !answer.isRefused;
    if (isRound && request.afterKey === '') this.#rounds.set(peer, covered);
    if (request.bytesMax <= 1 && answer.entries.length > 1 && isRound)
      throw new Violation('S18', `${peer} answers ${answer.entries.length} entries where one fills the page`);
    world.oracle.arrived(answer.entries);
    world.fetchedEntries += answer.entries.length;
    this.#process.step({ kind: 'fetched', peer, request, answer });
  }

  #timedOut(question: number): void {
    const asked = this.#questions.get(question);
    if (asked === undefined || !this.#questions.delete(question)) return;
    this.#process.step({ kind: 'fetch-failed', ...asked });
  }

  #toAll(act: (peer: Addressee) => void, dies: () => boolean = () => false): void {
    const { world, region } = this.#process;
    for (const peer of world.options.regions) {
      if (peer === region) continue;
      world.network.send(region, peer, () => world.deliver(peer, act));
      if (dies()) return;
    }
  }
}
