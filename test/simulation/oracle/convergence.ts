import type { VersionVector } from '@meridian/causality';
import { type Entry, winnerOf } from '@meridian/replica';
import { Violation } from '../violation.ts';
import type { Losses } from './losses.ts';
import type { SiblingChecks } from './sibling-checks.ts';
import { StoreFacts } from './store-facts.ts';
import { canonicalText, expectedWinner } from './winner.ts';
import type { WriteFacts } from './write-facts.ts';

/** What can be seen of a region from outside. */
export interface Observed {
  readonly name: string;
  readonly region: string;
  readonly store: StoreFacts;
  readonly machine: {
    readonly vector: VersionVector;
    readonly liveVector: VersionVector;
    readonly digest: string;
    readonly isRecovering: boolean;
    readonly view: { get(key: string): Entry | undefined; entries(): Iterable<Entry> };
  };
}

/** Written by the regions themselves. */
const HOUSEKEEPING = /^(seal|epochs)\//;

/** S8, S9, S11, S16, S17: what must hold once everything has healed. */
export class Convergence {
  readonly #writes: WriteFacts;
  readonly #siblings: SiblingChecks;
  readonly #losses: Losses;

  constructor(writes: WriteFacts, siblings: SiblingChecks, losses: Losses) {
    this.#writes = writes;
    this.#siblings = siblings;
    this.#losses = losses;
  }

  /**
   * Every region has exactly what no other surviving write had read.
   * @param which not `all` while regions may yet tell of lives that are over: that has its own time
   * @returns acknowledged writes that were lost
   */
  expectSameValues(regions: readonly Observed[], which: 'all' | 'asked for' = 'all'): number {
    const surviving = this.#losses.surviving();
    for (const { name, region, machine } of regions) {
      if (machine.isRecovering) throw new Violation('S17', `${name} is still recovering`);
      const all = new StoreFacts(region, surviving.copy());
      for (const key of this.#writes.keys()) {
        if (which === 'asked for' && HOUSEKEEPING.test(key)) continue;
        const entry = machine.view.get(key);
        this.#siblings.expectExact(entry, key, all, `${name} at rest`);
        if (entry !== undefined && entry.versions.length > 0) this.#expectWinner(entry, name);
      }
    }
    return this.#losses.expectNoneElse();
  }

  /** And they are equal to the last byte. */
  expectEqual(regions: readonly Observed[]): void {
    const [first, ...others] = regions;
    if (first === undefined) return;
    const [vector, text] = [first.machine.vector.toString(), canonicalText(first.machine.view.entries())];
    for (const { name, machine } of others) {
      if (machine.vector.toString() !== vector)
        throw new Violation('S17', `clocks differ: ${first.name} ${vector}; ${name} ${machine.vector.toString()}`);
      const other = canonicalText(machine.view.entries());
      if (other !== text)
        throw new Violation('S16', `equal clocks, and states differ: ${first.name}\n${text}\n${name}\n${other}`);
      if (machine.digest !== first.machine.digest)
        throw new Violation('S16', `equal states, and digests differ: ${first.name} and ${name}`);
    }
    for (const { name, machine } of regions) this.#expectBounded(name, machine.liveVector, regions.length);
  }

  #expectWinner(entry: Entry, name: string): void {
    const winner = winnerOf(entry);
    const found = winner === undefined ? 'nobody' : `${winner.dot.actor}=${winner.dot.counter}`;
    const expected = expectedWinner(entry);
    if (found !== expected) throw new Violation('S11', `${name}: ${found} wins ${entry.key}, and not ${expected}`);
  }

  /** S23: ended epochs have left the vector that travels, but for one a region that nothing has replaced. */
  #expectBounded(name: string, vector: VersionVector, regions: number): void {
    if (vector.size > 2 * regions + 2)
      throw new Violation('S23', `${name}: ${vector.size} epochs of ${regions} regions are live: ${vector.toString()}`);
  }
}
