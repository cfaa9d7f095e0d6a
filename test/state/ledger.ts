import { type ActorId, type Dot, parseDot, regionOf, type VersionVector } from '@meridian/causality';
import type { EntryView } from '@meridian/contracts/state';
import type { Outcome, Write } from './losses.ts';
import type { Acknowledged } from './wiped-store.ts';

/** A write as it ended. */
export interface Recorded extends Write {
  readonly atMs: number;
  /** The region's clock in the answer: it covers the write. Empty for what was not acknowledged. */
  readonly vector: VersionVector;
}

/** Everything that the writers were told and shown. */
export class Ledger {
  readonly writes: Recorded[] = [];
  /** By id. */
  readonly #dots = new Map<string, Dot>();

  add(write: Omit<Recorded, 'atMs'>): void {
    this.writes.push({ ...write, atMs: performance.now() });
  }

  /** Notes the events of what is shown. @returns the ids that are shown */
  observe(entry: EntryView | undefined): string[] {
    const ids: string[] = [];
    for (const { dot, value, deleted } of entry?.versions ?? []) {
      if (deleted) continue;
      const id = Buffer.from(value).toString();
      const parsed = parseDot(dot);
      if (parsed !== undefined) this.#dots.set(id, parsed);
      ids.push(id);
    }
    return ids;
  }

  /**
   * Acknowledged writes of the region from the one with the given number on. The event of a deletion, or of a value that was
   * superseded before anyone looked, is taken for the newest that the answer covers.
   */
  acknowledged(region: string, from: number): Acknowledged[] {
    return this.writes
      .slice(from)
      .filter((write) => write.region === region && write.outcome === 'acknowledged')
      .map(({ id, vector }) => ({ id, dot: this.#dots.get(id) ?? newestOf(region, vector) }));
  }

  /** As whom the region had written until then, by the answers that it gave. */
  actorsOf(region: string, untilMs: number): Set<ActorId> {
    const actors = new Set<ActorId>();
    for (const write of this.writes)
      if (write.region === region && write.atMs <= untilMs)
        for (const [actor] of write.vector.entries()) if (regionOf(actor) === region) actors.add(actor);
    return actors;
  }

  count(outcome: Outcome, from: number): number {
    return this.writes.slice(from).filter((write) => write.outcome === outcome).length;
  }
}

/** A life that writes leaves the lives before it out of its vectors. */
function newestOf(region: string, vector: VersionVector): Dot {
  for (const [actor, counter] of vector.entries()) if (regionOf(actor) === region) return { actor, counter };
  throw new Error(`${region} acknowledged a write with the vector ${vector}, which has no event of it`);
}
