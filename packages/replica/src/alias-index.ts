import { type AliasRoll, type AliasTarget, type Phases, type RegionPhase, targetIn } from './alias.ts';
import { decodeAlias, decodePhase } from './alias-codec.ts';
import { currentValue, type Entry, winnerOf } from './entry.ts';
import { parseStateKey } from './state-key.ts';

/** An alias as the shared state has it. */
export interface AliasEntry {
  /** The winner among concurrent records: it counts in every region. */
  readonly roll: AliasRoll;
  /** Concurrent records that lost, with other content. */
  readonly losers: readonly AliasRoll[];
  readonly phases: Phases;
}

/**
 * Aliases and the phases of their rolls, kept up to date entry by entry.
 *
 * 1. Phases are kept by alias and region whatever roll they name: whether they count is decided with the record.
 * 2. A record that cannot be read is left out, as if it were absent.
 */
export class AliasIndex {
  readonly #rolls = new Map<string, { readonly winner: AliasRoll; readonly losers: readonly AliasRoll[] }>();
  readonly #phases = new Map<string, Map<string, RegionPhase>>();

  /** @returns false when the key is an alias's and its winner cannot be read. */
  update(entry: Entry): boolean {
    const key = parseStateKey(entry.key);
    if (key?.kind === 'alias') return this.#updateAlias(key.alias, entry);
    if (key?.kind === 'roll') this.#updatePhase(key.alias, key.region, currentValue(entry));
    return true;
  }

  get(alias: string): AliasEntry | undefined {
    const found = this.#rolls.get(alias);
    if (found === undefined) return undefined;
    return { roll: found.winner, losers: found.losers, phases: this.#phases.get(alias) ?? new Map() };
  }

  /** By name. */
  names(): string[] {
    return [...this.#rolls.keys()].sort();
  }

  /** What the alias means in tasks that enter at `region`; undefined for what is no alias. */
  target(alias: string, region: string): AliasTarget | undefined {
    const entry = this.get(alias);
    return entry && targetIn(entry.roll, entry.phases, region);
  }

  #updateAlias(alias: string, entry: Entry): boolean {
    const winning = winnerOf(entry);
    const winner = winning === undefined || winning.deleted ? undefined : decodeAlias(alias, winning.value);
    if (winner === undefined) this.#rolls.delete(alias);
    else {
      const others = entry.versions.filter((version) => version !== winning && !version.deleted);
      const records = others.map(({ value }) => decodeAlias(alias, value)).filter((roll) => roll !== undefined);
      this.#rolls.set(alias, { winner, losers: records.filter(({ rollId }) => rollId !== winner.rollId) });
    }
    return winner !== undefined || winning === undefined || winning.deleted;
  }

  #updatePhase(alias: string, region: string, value: Uint8Array | undefined): void {
    const phase = value && decodePhase(value);
    const phases = this.#phases.get(alias);
    if (phase !== undefined) this.#phases.set(alias, (phases ?? new Map()).set(region, phase));
    else phases?.delete(region);
  }
}
