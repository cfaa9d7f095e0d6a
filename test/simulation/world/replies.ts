import type { FetchAnswer, Output } from '../../../services/sync/src/replication/protocol.ts';
import type { IdSet } from '../oracle/id-set.ts';
import type { WriteFact } from '../oracle/write-facts.ts';
import { Violation } from '../violation.ts';
import type { Host } from './surroundings.ts';

export type Reply = Extract<Output, { kind: 'written' | 'refused' }>;

/** How a client hears what became of its write. */
export interface AskedWrite {
  readonly fact: WriteFact;
  readonly done: (reply: Reply) => void;
}

/** Who waits for what a process answers: clients, and other regions. */
export class Replies {
  readonly #host: Host;
  readonly #writes = new Map<number, AskedWrite>();
  readonly #answers = new Map<number, (answer: FetchAnswer, covered: IdSet) => void>();
  /** Operators' commands, by the key that they write. */
  readonly #commands = new Map<string, WriteFact>();

  constructor(host: Host) {
    this.#host = host;
  }

  clear(): void {
    for (const map of [this.#writes, this.#answers, this.#commands]) map.clear();
  }

  expectWrite(id: number, write: AskedWrite): void {
    this.#writes.set(id, write);
    if (write.fact.command !== undefined) this.#commands.set(write.fact.key, write.fact);
  }

  expectAnswer(id: number, reply: (answer: FetchAnswer, covered: IdSet) => void): void {
    this.#answers.set(id, reply);
  }

  factOf(id: number | undefined): WriteFact | undefined {
    return id === undefined ? undefined : this.#writes.get(id)?.fact;
  }

  commandFor(key: string): WriteFact | undefined {
    const fact = this.#commands.get(key);
    this.#commands.delete(key);
    return fact?.dot === undefined ? fact : undefined;
  }

  reply(reply: Reply): void {
    const { name, store, world } = this.#host;
    const write = this.#writes.get(reply.id);
    if (write === undefined)
      throw new Violation('S3', `${name} answers ${reply.id}, which was not asked or has its answer`);
    if (reply.kind === 'written' && this.#host.dies('before-acknowledge')) return;
    this.#writes.delete(reply.id);
    const { fact } = write;
    if (reply.kind === 'refused') {
      if (fact.dot !== undefined) throw new Violation('S3', `${name} refuses ${reply.id}, and has stored it`);
      fact.isRefused = true;
      world.refused(reply.failure.reason);
    } else if (reply.written.changed) {
      world.oracle.acknowledged(fact, store, reply.written.vector, this.#host.wallMs);
      world.counts['acknowledged writes']++;
    }
    write.done(reply);
  }

  answer(id: number, answer: FetchAnswer): void {
    const { name, store, clock, world } = this.#host;
    const reply = this.#answers.get(id);
    if (reply === undefined) throw new Violation('S18', `${name} answers question ${id}, which nobody asked`);
    this.#answers.delete(id);
    world.oracle.told(answer.entries, store, `${name}, answer`);
    world.oracle.clocks.expectStored(answer.vector, clock, store, `${name}, answer`);
    if (answer.isWholeRange) world.counts['whole-range answers']++;
    if (!this.#host.dies('before-answer')) reply(answer, clock.covered.copy());
  }
}
