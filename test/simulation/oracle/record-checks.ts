import type { Timestamp, VersionVector } from '@meridian/causality';
import type { Version } from '@meridian/replica';
import type { Append } from '../../../services/sync/src/replication/protocol.ts';
import { DRIFT_MS } from '../options.ts';
import { Violation } from '../violation.ts';
import type { WallClock } from '../world/wall-clock.ts';
import { covers } from './dot-text.ts';
import { IdSet } from './id-set.ts';
import type { Lives } from './lives.ts';
import type { SiblingChecks } from './sibling-checks.ts';
import type { Stability } from './stability.ts';
import { isAfter, type StoreFacts } from './store-facts.ts';
import { dotText, type WriteFact, type WriteFacts } from './write-facts.ts';

/** As whom a life of a process writes. */
export interface Author {
  readonly region: string;
  readonly life: string;
  readonly wall: WallClock;
  /** Its events, by counter: records of one batch may be sent in any order. */
  readonly named: Map<number, Timestamp>;
  /** What an operator asked for that is not named yet. */
  commandFor(key: string): WriteFact | undefined;
}

const SYSTEM_KEY = /^(member|seal|epochs)\//;

/** S1, S2, S4, S12, S13, S14, S24: the events in records on their way to a disk, and on it. */
export class RecordChecks {
  readonly #writes: WriteFacts;
  readonly #stability: Stability;
  readonly #siblings: SiblingChecks;
  readonly #lives: Lives;
  /** A disk has lost something that its clock says it has: until that is repaired, its records are not what they should be. */
  isRotten = false;

  constructor(writes: WriteFacts, stability: Stability, siblings: SiblingChecks, lives: Lives) {
    this.#lives = lives;
    this.#writes = writes;
    this.#stability = stability;
    this.#siblings = siblings;
  }

  /** The process asks its disk to take a record. `write` is what a client asked for, if it was one. */
  issued({ record }: Append, write: WriteFact | undefined, author: Author, store: StoreFacts, nowMs: number): void {
    const where = `record of ${record.key} in ${author.life}`;
    let named = 0;
    for (const version of record.entry?.versions ?? []) {
      const known = this.#writes.ofDot(dotText(version));
      if (known === undefined) {
        const fact = write ?? author.commandFor(record.key) ?? this.#systemWrite(record.key, version, author);
        this.#name(fact, version, author, store, nowMs);
        named++;
        continue;
      }
      this.#writes.recognise(version, where);
      if (known.dot !== write?.dot && !known.isDurable)
        throw new Violation('S3', `${where}: ${known.dot} came from a disk that had not taken it`);
      if (!store.known.has(known.id)) this.#expectNotFromTheFuture(version, author, nowMs, where);
    }
    if (named > 1) throw new Violation('S4', `${where}: ${named} events in one record`);
    if (write !== undefined && named === 0)
      throw new Violation('S1', `${where}: write ${write.id} has no dot of its own`);
  }

  /** The disk has taken it. */
  stored({ record }: Append, store: StoreFacts, life: string, where: string): void {
    const { entry, key } = record;
    if (entry === undefined) return;
    if (entry.key !== key) throw new Violation('S6', `${where}: a record of ${key} holds ${entry.key}`);
    const learnt = new IdSet();
    let own: WriteFact | undefined;
    for (const version of entry.versions) {
      const fact = this.#writes.recognise(version, where);
      fact.history ??= this.#allOf(key, store);
      fact.isDurable = true;
      learnt.addAll(this.#writes.past(fact));
      const isOwn = this.#lives.ofActor(version.dot.actor, life) === life;
      store.took(version.hlc, isOwn);
      if (isOwn && !store.known.has(fact.id)) own = fact;
    }
    const isOver = (id: number) => this.#writes.at(id).key === key;
    store.learns(own?.id, learnt.without(store.known), isOver);
    this.#stability.had(store, learnt);
    if (entry.versions.length === 0) this.#learnDeletions(entry.context, key, store);
    if (!this.isRotten) this.#siblings.expectExact(entry, key, store, where);
  }

  /** Nothing is left of the key: its context tells of what all have deleted. */
  #learnDeletions(context: VersionVector, key: string, store: StoreFacts): void {
    for (const fact of this.#writes.ofKey(key))
      if (covers(context, fact.dot) && this.#stability.isStable(fact)) this.#stability.learn(store, fact);
  }

  #name(fact: WriteFact, version: Version, author: Author, store: StoreFacts, nowMs: number): void {
    const { actor } = version.dot;
    const where = `write ${fact.id} of ${fact.key} in ${author.life}`;
    const region = actor.slice(0, actor.lastIndexOf('@'));
    if (region !== author.region) throw new Violation('S5', `${where}: ${dotText(version)} is nobody's event`);
    const life = this.#lives.ofActor(actor, author.life);
    if (life !== author.life) throw new Violation('S24', `${where}: ${actor} is the epoch of another life, ${life}`);
    if (!fact.isSystem) this.#expectAsAsked(fact, version, where);
    this.#expectMonotone(version, author, store, where);
    if (version.hlc.wallMs > author.wall.highestMs(nowMs) + DRIFT_MS + 1)
      throw new Violation('S13', `${where}: its timestamp is ahead of every wall clock that it can have seen`);
    this.#writes.name(fact, version);
    store.asks(fact.id);
  }

  /** S12, S13: later than everything that the region had when it decided, and than its earlier events. */
  #expectMonotone({ dot, hlc }: Version, { named }: Author, store: StoreFacts, where: string): void {
    const message = (than: Timestamp) => `${where}: its timestamp ${text(hlc)} is not after ${text(than)}`;
    if (!isAfter(hlc, store.last)) throw new Violation('S13', message(store.last));
    for (const [counter, other] of named)
      if (counter < dot.counter ? !isAfter(hlc, other) : !isAfter(other, hlc))
        throw new Violation('S13', message(other));
    named.set(dot.counter, hlc);
  }

  #expectAsAsked(fact: WriteFact, { deleted, value }: Version, where: string): void {
    const stored = deleted ? undefined : Buffer.from(value).toString();
    if (stored !== fact.value) throw new Violation('S9', `${where}: ${stored} was stored in place of ${fact.value}`);
  }

  #systemWrite(key: string, version: Version, { region }: Author): WriteFact {
    if (!SYSTEM_KEY.test(key))
      throw new Violation('S5', `${dotText(version)} of ${key} in ${region} is an event that nobody wrote`);
    return this.#writes.add({
      key,
      region,
      value: version.deleted ? undefined : '',
      isSystem: true,
      history: undefined,
    });
  }

  #expectNotFromTheFuture({ hlc }: Version, { wall }: Author, nowMs: number, where: string): void {
    if (hlc.wallMs > wall.recentMs(nowMs) + DRIFT_MS)
      throw new Violation('S14', `${where}: ${text(hlc)} was taken over at ${wall.wallMs(nowMs)}`);
  }

  #allOf(key: string, store: StoreFacts): IdSet {
    const ids = new IdSet();
    for (const fact of this.#writes.ofKey(key)) if (store.known.has(fact.id)) ids.addAll(this.#writes.past(fact));
    return ids;
  }
}

function text({ wallMs, logical }: Timestamp): string {
  return `${wallMs}.${logical}`;
}
