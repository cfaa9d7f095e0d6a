import type { Timestamp } from '@meridian/causality';
import type { Version } from '@meridian/replica';
import { Violation } from '../violation.ts';
import { IdSet } from './id-set.ts';

/** One write: what happened, in the oracle's own terms. */
export interface WriteFact {
  readonly id: number;
  readonly key: string;
  readonly region: string;
  /** Undefined: a deletion. Empty for what the machine itself wrote. */
  readonly value: string | undefined;
  /** By the machine itself: membership, seals, ended epochs. */
  readonly isSystem: boolean;
  /** For an operator's command about a region. */
  readonly command?: { readonly region: string; readonly action: 'add' | 'remove' };
  /** Of all writes that its writer had read, and what those had read. Undefined until stored: what was in the store then. */
  history: IdSet | undefined;
  dot: string | undefined;
  /** What the event says; it may never say anything else. */
  content: string;
  hlc: Timestamp;
  isDurable: boolean;
  isAcknowledged: boolean;
  /** By the wall clock of its region. */
  acknowledgedAtMs: number;
  isRefused: boolean;
}

export type NewWrite = Pick<WriteFact, 'key' | 'region' | 'value' | 'isSystem' | 'command' | 'history'>;

/** All writes of a run. Ids are small whole numbers, in the order of asking. */
export class WriteFacts {
  readonly facts: WriteFact[] = [];
  readonly #byDot = new Map<string, WriteFact>();
  readonly #byKey = new Map<string, WriteFact[]>();

  add(write: NewWrite): WriteFact {
    const state = { dot: undefined, content: '', hlc: { wallMs: 0, logical: 0 } };
    const flags = { isDurable: false, isAcknowledged: false, acknowledgedAtMs: 0, isRefused: false };
    const fact: WriteFact = { ...write, id: this.facts.length, ...state, ...flags };
    this.facts.push(fact);
    const ofKey = this.#byKey.get(fact.key);
    if (ofKey === undefined) this.#byKey.set(fact.key, [fact]);
    else ofKey.push(fact);
    return fact;
  }

  at(id: number): WriteFact {
    const fact = this.facts[id];
    if (fact === undefined) throw new RangeError(`no write ${id}`);
    return fact;
  }

  ofKey(key: string): readonly WriteFact[] {
    return this.#byKey.get(key) ?? [];
  }

  keys(): Iterable<string> {
    return this.#byKey.keys();
  }

  ofDot(dot: string): WriteFact | undefined {
    return this.#byDot.get(dot);
  }

  /** S1: an event's name is given once. */
  name(fact: WriteFact, version: Version): void {
    const dot = dotText(version);
    if (fact.dot !== undefined) throw new Violation('S1', `write ${fact.id} is both ${fact.dot} and ${dot}`);
    fact.dot = dot;
    fact.content = contentOf(version);
    fact.hlc = version.hlc;
    this.#byDot.set(dot, fact);
  }

  /** S2: and it means the same everywhere. @returns the write that the version is */
  recognise(version: Version, where: string): WriteFact {
    const fact = this.#byDot.get(dotText(version));
    if (fact === undefined) throw new Violation('S5', `${where}: ${dotText(version)} is an event that nobody wrote`);
    const content = contentOf(version);
    if (content !== fact.content)
      throw new Violation('S2', `${where}: ${fact.dot} says ${content}, and said ${fact.content}`);
    return fact;
  }

  /** Ids of the key among the known ones that no other known write had read: what must be left of the key. */
  siblings(known: IdSet, key: string): number[] {
    const superseded = new IdSet();
    const ids: number[] = [];
    for (const { id, history } of this.ofKey(key)) {
      if (!known.has(id)) continue;
      ids.push(id);
      if (history !== undefined) superseded.addAll(history);
    }
    return ids.filter((id) => !superseded.has(id));
  }

  /** The write, and all that it had read. */
  past(fact: WriteFact): IdSet {
    const past = fact.history?.copy() ?? new IdSet();
    past.add(fact.id);
    return past;
  }

  describe(ids: Iterable<number>): string {
    const names = Array.from(ids, (id) => {
      const { key, dot, value, region } = this.at(id);
      return `${id} (${key} ${value === undefined ? 'deleted' : 'written'} in ${region}, ${dot ?? 'no dot'})`;
    });
    return `[${names.join(', ')}]`;
  }
}

export function dotText({ dot }: Version): string {
  return `${dot.actor}=${dot.counter}`;
}

function contentOf({ deleted, value, hlc, author }: Version): string {
  const text = deleted ? 'deletion' : Buffer.from(value).toString('hex');
  return `${text} at ${hlc.wallMs}.${hlc.logical} by ${author ?? 'nobody'}`;
}
