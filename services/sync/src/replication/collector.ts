import { type CollectOrigin, Commit } from './commit.ts';
import { type RegionState, withDot } from './region-state.ts';
import { dueCollections } from './upkeep.ts';

/** Deletions that are collected with one record. */
const COLLECTED_AT_ONCE_MAX = 64;

/**
 * Drops deletions that every member has seen, in steps that a crash may come between:
 *
 * 1. What is forgotten is noted first: until then whoever lacks it is told.
 * 2. Entries that stay are written without their deletions.
 * 3. Those of which nothing is left go from the log.
 */
export class Collector {
  readonly #state: RegionState;
  /** Keys that the log was asked to forget, by id. */
  readonly #forgetting = new Map<number, string>();

  constructor(state: RegionState) {
    this.#state = state;
  }

  collectDue(): void {
    const state = this.#state;
    const due = dueCollections(state.sources, (region) => state.peers.seenBy(region), COLLECTED_AT_ONCE_MAX);
    if (due.length === 0) return;
    let { collected } = state.meta;
    for (const { actor, counter } of due.flatMap(({ dots }) => dots)) collected = withDot(collected, actor, counter);
    const record = state.metaRecord({ ...state.meta, collected }, state.vector);
    const keys = due.filter(({ entry }) => entry.versions.length === 0).map(({ entry }) => entry.key);
    const origin: CollectOrigin = { kind: 'collect', keys, left: due.map(({ entry }) => entry) };
    state.begin(new Commit(origin, [state.append(record)]));
  }

  /** The log has a step of it: the next one follows. */
  collected(origin: CollectOrigin, commit: Commit): void {
    const state = this.#state;
    state.putAll(commit);
    const kept = origin.left.filter(({ versions }) => versions.length > 0);
    if (kept.length === 0) {
      this.#forget(origin.keys);
      return;
    }
    const { vector: clock } = state;
    const { lineage } = state.clock;
    const appends = kept.map((entry) =>
      state.append({ key: entry.key, entry: state.view.stripped(entry, clock), lineage, clock }),
    );
    state.begin(new Commit({ ...origin, left: [] }, appends));
  }

  #forget(keys: readonly string[]): void {
    const state = this.#state;
    if (keys.length === 0) state.commit = undefined;
    for (const key of keys) {
      const id = state.nextId();
      this.#forgetting.set(id, key);
      state.outputs.push({ kind: 'forget', id, key, sequence: state.view.sequenceOf(key) });
    }
  }

  takeForgotten(id: number): void {
    const key = this.#forgetting.get(id);
    if (key === undefined) return;
    this.#forgetting.delete(id);
    this.#state.view.delete(key);
    this.#state.report('collected', this.#state.region);
    this.#state.outputs.push({ kind: 'changed', keys: [key] });
    if (this.#forgetting.size === 0) this.#state.commit = undefined;
  }
}
