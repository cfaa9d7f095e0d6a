import type { VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import type { Append } from '../../../services/sync/src/replication/protocol.ts';
import type { Counts } from '../counters.ts';
import { Violation } from '../violation.ts';
import { ClockChecks, type ClockFacts } from './clock-checks.ts';
import { Convergence } from './convergence.ts';
import { covers } from './dot-text.ts';
import { IdSet } from './id-set.ts';
import { Lives } from './lives.ts';
import { Losses } from './losses.ts';
import { type Author, RecordChecks } from './record-checks.ts';
import { SiblingChecks } from './sibling-checks.ts';
import { Stability } from './stability.ts';
import type { StoreFacts } from './store-facts.ts';
import { type NewWrite, type WriteFact, WriteFacts } from './write-facts.ts';

/**
 * Judges a run by explicit causal histories: a write's history is what its writer had read, and what those had read. It
 * shares no code with what it judges, and knows vectors and dots only as names of writes.
 */
export class Oracle {
  readonly writes = new WriteFacts();
  readonly lives = new Lives();
  readonly stability: Stability;
  readonly losses: Losses;
  readonly clocks: ClockChecks;
  readonly convergence: Convergence;
  readonly members: Set<string>;
  readonly #siblings: SiblingChecks;
  readonly #records: RecordChecks;
  readonly #counts: Counts;
  readonly #obeyed = new IdSet();
  readonly #counted = new IdSet();
  readonly #digests = new Map<string, { readonly digest: string; readonly where: string }>();

  constructor(regions: readonly string[], counts: Counts) {
    this.#counts = counts;
    this.members = new Set(regions);
    this.stability = new Stability(this.writes, regions);
    this.losses = new Losses(this.writes);
    this.clocks = new ClockChecks(this.writes, this.stability, this.lives, this.losses);
    this.#siblings = new SiblingChecks(this.writes, this.stability);
    this.#records = new RecordChecks(this.writes, this.stability, this.#siblings, this.lives);
    this.convergence = new Convergence(this.writes, this.#siblings, this.losses);
  }

  asked(write: NewWrite): WriteFact {
    return this.writes.add(write);
  }

  /** What a client has read with this entry, if its context is the process's whole clock. */
  read(
    entry: Entry | undefined,
    key: string,
    clock: ClockFacts,
    store: StoreFacts,
    isIdle: boolean,
    where: string,
  ): IdSet {
    if (isIdle) this.#siblings.expectExact(entry, key, store, where);
    const ids = this.clocks.coveredOf(key, clock);
    for (const version of entry?.versions ?? []) {
      const fact = this.writes.recognise(version, where);
      if (!store.known.has(fact.id)) throw new Violation('S3', `${where}: ${fact.dot} is read before it is stored`);
      ids.addAll(this.writes.past(fact));
    }
    return ids;
  }

  issued(append: Append, write: WriteFact | undefined, author: Author, store: StoreFacts, nowMs: number): void {
    if (write?.isRefused) throw new Violation('S3', `write ${write.id} was refused, and is stored`);
    this.#records.issued(append, write, author, store, nowMs);
  }

  stored(append: Append, store: StoreFacts, life: string, where: string): void {
    this.#records.stored(append, store, life, where);
    this.losses.stored(store);
    const { entry } = append.record;
    if (entry === undefined) return;
    if (entry.versions.length > 1) this.#counts['concurrent siblings']++;
    for (const version of entry.versions) {
      const fact = this.writes.recognise(version, where);
      if (fact.isSystem && !this.#counted.has(fact.id)) this.#count(fact);
      this.#obey(fact);
    }
  }

  #count({ id, key }: WriteFact): void {
    this.#counted.add(id);
    if (key.startsWith('epochs/')) this.#counts['epochs sealed']++;
    if (key.startsWith('seal/')) this.#counts['removals sealed']++;
  }

  /** S21: a key leaves a disk only when all its versions are deletions that every member has, or superseded by one. */
  forgotten(entry: Entry, store: StoreFacts, where: string): void {
    for (const version of entry.versions) {
      const fact = this.writes.recognise(version, where);
      const [deletion] = this.stability.thatCover(fact);
      if (deletion === undefined)
        throw new Violation(
          'S21',
          `${where}: ${this.writes.describe([fact.id])} is forgotten, and not everybody knows it`,
        );
      this.stability.learn(store, deletion);
      if (fact.value !== undefined) continue;
      if (!this.stability.collected.has(fact.id)) this.#counts['tombstones collected']++;
      this.stability.collected.add(fact.id);
    }
  }

  /** S3: nobody hears of an event that the process's own disk has not taken. */
  told(entries: readonly Entry[], store: StoreFacts, where: string): void {
    for (const { versions } of entries)
      for (const version of versions) {
        const fact = this.writes.recognise(version, where);
        if (!store.known.has(fact.id)) throw new Violation('S3', `${where}: ${fact.dot} left before it was stored`);
      }
  }

  acknowledged(write: WriteFact, store: StoreFacts, vector: VersionVector, wallMs: number): void {
    const where = `write ${write.id} of ${write.key} in ${write.region}`;
    if (!write.isDurable || !store.known.has(write.id))
      throw new Violation('S3', `${where}: acknowledged before it was stored`);
    write.isAcknowledged = true;
    write.acknowledgedAtMs = wallMs;
    if (!covers(vector, write.dot))
      throw new Violation('S29', `${where}: its token ${vector.toString()} does not cover it`);
  }

  /** A late or repeated message brings what all have forgotten. */
  arrived(entries: readonly Entry[]): void {
    for (const { versions } of entries)
      for (const version of versions) {
        const fact = this.writes.ofDot(`${version.dot.actor}=${version.dot.counter}`);
        if (fact !== undefined && this.stability.collected.has(fact.id))
          this.#counts['late duplicates after collection']++;
      }
  }

  isAmong(entries: readonly Entry[], ids: IdSet): boolean {
    return entries.every(({ versions }) =>
      versions.every((version) => ids.has(this.writes.recognise(version, 'any').id)),
    );
  }

  /** From now on one disk is not what its clock says, until it is repaired. */
  rots(): void {
    this.#records.isRotten = true;
  }

  /**
   * A log that could not be read whole is not trusted for its clock; and of keys that all have deleted and forgotten the
   * clock was all that it had.
   */
  distrusted(store: StoreFacts, records: ReadonlyMap<string, unknown>): void {
    for (const key of this.writes.keys()) {
      if (records.has(key)) continue;
      for (const fact of this.writes.ofKey(key)) {
        const [deletion] = this.stability.thatCover(fact);
        if (deletion === undefined) continue;
        store.known.delete(fact.id);
        this.losses.mayLose(fact.id);
      }
    }
  }

  /** S16 at any time: who says the same of its clock says the same of its state. */
  digested(vector: VersionVector, digest: string, where: string): void {
    if (digest === '' || this.#records.isRotten) return;
    const text = vector.toString();
    const known = this.#digests.get(text);
    if (known === undefined) this.#digests.set(text, { digest, where });
    else if (known.digest !== digest)
      throw new Violation('S16', `${where} and ${known.where} have equal clocks and different digests: ${text}`);
  }

  /** S29: who has a token sees at least what its bearer had seen. */
  expectSession(seen: IdSet, store: StoreFacts, vector: VersionVector, where: string): void {
    for (const id of seen.without(store.known)) {
      const [deletion] = this.stability.thatCover(this.writes.at(id));
      if (deletion === undefined)
        throw new Violation(
          'S29',
          `${where} takes the token ${vector.toString()} without ${this.writes.describe([id])}`,
        );
    }
  }

  /** t_j: who is said to hold everything that was acknowledged up to a time holds it. Only where clocks and stores are whole. */
  expectKnownUntil(untilMs: number, store: StoreFacts, where: string): void {
    for (const fact of this.writes.facts) {
      if (!fact.isAcknowledged || fact.acknowledgedAtMs > untilMs || store.known.has(fact.id)) continue;
      const [deletion] = this.stability.thatCover(fact);
      if (deletion === undefined)
        throw new Violation('t_j', `${where} holds all until ${untilMs}, but not ${this.writes.describe([fact.id])}`);
    }
  }

  /** A region that lost its log has first to get back what some other one had when it began anew. */
  expectResynced(owed: readonly IdSet[], store: StoreFacts, nowWallMs: number, where: string): void {
    const lacks = owed.map((ids) => ids.without(store.known).filter((id) => !this.#mayLack(id, nowWallMs)));
    if (lacks.length > 0 && lacks.every((ids) => ids.length > 0))
      throw new Violation(
        'S24',
        `${where} ends its recovery before it has ${this.writes.describe(lacks[0] ?? [])} again`,
      );
  }

  /** All had deleted it; or its key has something whose time has not come, and that may hold back the whole entry. */
  #mayLack(id: number, nowWallMs: number): boolean {
    const fact = this.writes.at(id);
    const [deletion] = this.stability.thatCover(fact);
    if (deletion !== undefined) return true;
    return this.writes.ofKey(fact.key).some(({ hlc }) => hlc.wallMs > nowWallMs);
  }

  /** An operator's command counts from the moment at which it is stored anywhere. */
  #obey({ id, command }: WriteFact): void {
    if (command === undefined || this.#obeyed.has(id)) return;
    this.#obeyed.add(id);
    if (command.action === 'remove' && this.members.delete(command.region)) {
      this.stability.removed(command.region);
      this.losses.removed(command.region);
    }
    if (command.action === 'add') this.members.add(command.region);
  }
}
