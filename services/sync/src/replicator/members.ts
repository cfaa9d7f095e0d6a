import type { Replicator } from './replicator.ts';

/** Who belongs to the state now, as far as this region knows. Not to be kept: it changes when operators say so. */
export interface Members {
  /** Every active region, this one too: those of the topology in its order, then those that were added since. */
  readonly active: readonly string[];
  /** The active ones but this: who can be asked, and is answered. */
  readonly others: readonly string[];
  /** Removed regions for which this one is to write what they cannot write any more. All that they wrote is here. */
  readonly departed: readonly string[];
  /** Every other active region has answered since this one began: what any of them had then is here. */
  readonly haveAllAnswered: boolean;
  /** Rises when a region is added again. */
  generationOf(region: string): number;
}

type Source = Pick<Replicator, 'membership'>;

/** Nobody belongs to it before the log has been read. */
export class LiveMembers implements Members {
  readonly #region: string;
  readonly #topology: readonly string[];
  readonly #replicator: Source;

  /** @param topology all regions of it, in its order */
  constructor(region: string, topology: readonly string[], replicator: Source) {
    this.#region = region;
    this.#topology = topology;
    this.#replicator = replicator;
  }

  get active(): readonly string[] {
    const activeRegions = this.#replicator.membership?.activeRegions ?? [];
    const known = this.#topology.filter((region) => activeRegions.includes(region));
    return [...known, ...activeRegions.filter((region) => !this.#topology.includes(region))];
  }

  get others(): readonly string[] {
    return this.active.filter((region) => region !== this.#region);
  }

  get departed(): readonly string[] {
    return this.#replicator.membership?.departedRegions ?? [];
  }

  get haveAllAnswered(): boolean {
    return this.#replicator.membership?.unanswered.size === 0;
  }

  generationOf(region: string): number {
    return this.#replicator.membership?.generationOf(region) ?? 0;
  }
}
