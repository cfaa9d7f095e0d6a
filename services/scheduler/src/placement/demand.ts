import type { PriorityClassName } from '@meridian/contracts';
import type { Task } from '../tasks/task.ts';

/** Accepted tasks of one kind, as a rate. */
export interface SourceRate {
  /** Empty for several models together. */
  readonly model: string;
  readonly modelDigest: string;
  readonly priority: PriorityClassName;
  /** Regions that the residency rule allows; undefined: all. */
  readonly allowed: ReadonlySet<string> | undefined;
  readonly tasksPerSecond: number;
  /** Means of a task. */
  readonly pictureBytes: number;
  readonly expectedServiceMs: number;
}

interface Sums {
  readonly source: Pick<SourceRate, 'model' | 'modelDigest' | 'priority' | 'allowed'>;
  /** Since the last tick. */
  fresh: number;
  /** Seconds and what was accepted in them, each weighted by how long ago that was. */
  seconds: number;
  tasks: number;
  bytes: number;
  expectedMs: number;
}

/** What was accepted so long ago counts a third. Longer is steadier, shorter follows sooner. */
const MEMORY_MS = 5_000;
/** Sources that stand for themselves. */
const SOURCES_MAX = 96;
/** More that stand for what is left: all models of one class and rule together. */
const MERGED_SOURCES_MAX = 32;
/** A source with less has ended. */
const TASKS_PER_SECOND_MIN = 1e-3;

/**
 * What the callers of this scheduler ask for: tasks a second by model, priority class and residency rule.
 *
 * 1. At most SOURCES_MAX + MERGED_SOURCES_MAX sources are counted. Who comes when all places are taken is counted with
 *    others of the same class and rule, and only where that has no room either as {@link unlistedPerSecond}: a rule is
 *    never made wider than it is.
 * 2. A rate is what was accepted ÷ the time in which it was, both weighted alike: a source that has just begun has its
 *    rate at the first tick, and one that has ended fades.
 * 3. Time comes with the ticks; they should be MEMORY_MS / 5 apart or closer.
 */
export class DemandMeter {
  readonly #sums = new Map<string, Sums>();
  #merged = 0;
  #unlisted = 0;
  #unlistedPerSecond = 0;
  #tickedMs: number | undefined;
  /** Works with the same rule share its set of regions. */
  readonly #namesOf = new WeakMap<ReadonlySet<string>, string>();

  /** @param allowed regions that the rules of tenant and call leave; undefined: all */
  accepted({ work, pictureBytes }: Task, allowed: ReadonlySet<string> | undefined): void {
    const sums = this.#sumsOf(work, allowed);
    if (sums === undefined) {
      this.#unlisted++;
      return;
    }
    sums.fresh++;
    sums.tasks++;
    sums.bytes += pictureBytes;
    sums.expectedMs += work.expectedServiceMs;
  }

  /** @param nowMs monotonic */
  tick(nowMs: number): void {
    const elapsedMs = nowMs - (this.#tickedMs ?? nowMs - MEMORY_MS / 5);
    if (elapsedMs <= 0) return;
    this.#tickedMs = nowMs;
    const kept = Math.exp(-elapsedMs / MEMORY_MS);
    this.#unlistedPerSecond = (this.#unlisted * 1_000) / elapsedMs;
    this.#unlisted = 0;
    for (const [key, sums] of this.#sums) {
      // What came since the last tick is not older than it.
      sums.seconds = sums.seconds * kept + elapsedMs / 1_000;
      const before = (sums.tasks - sums.fresh) * kept;
      const share = sums.tasks > 0 ? (before + sums.fresh) / sums.tasks : 0;
      sums.tasks *= share;
      sums.bytes *= share;
      sums.expectedMs *= share;
      sums.fresh = 0;
      if (sums.tasks / sums.seconds >= TASKS_PER_SECOND_MIN) continue;
      this.#sums.delete(key);
      if (sums.source.modelDigest === '') this.#merged--;
    }
  }

  /** As of the last tick; what was accepted since may be in them already. */
  get sources(): SourceRate[] {
    return [...this.#sums.values()].flatMap(({ source, seconds, tasks, bytes, expectedMs }) =>
      seconds === 0
        ? []
        : [
            {
              ...source,
              tasksPerSecond: tasks / seconds,
              pictureBytes: bytes / tasks,
              expectedServiceMs: expectedMs / tasks,
            },
          ],
    );
  }

  get unlistedPerSecond(): number {
    return this.#unlistedPerSecond;
  }

  #sumsOf({ model, modelDigest, priority }: Task['work'], allowed: SourceRate['allowed']): Sums | undefined {
    const rule = `${priority} ${this.#names(allowed)}`;
    const key = `${rule} ${modelDigest}`;
    const known = this.#sums.get(key);
    if (known !== undefined) return known;
    if (this.#sums.size - this.#merged < SOURCES_MAX)
      return this.#begin(key, { model, modelDigest, priority, allowed });
    const merged = this.#sums.get(rule);
    if (merged !== undefined || this.#merged >= MERGED_SOURCES_MAX) return merged;
    this.#merged++;
    return this.#begin(rule, { model: '', modelDigest: '', priority, allowed });
  }

  #names(allowed: SourceRate['allowed']): string {
    if (allowed === undefined) return '*';
    const known = this.#namesOf.get(allowed);
    if (known !== undefined) return known;
    const names = [...allowed].sort().join();
    this.#namesOf.set(allowed, names);
    return names;
  }

  #begin(key: string, source: Sums['source']): Sums {
    const sums = { source, fresh: 0, seconds: 0, tasks: 0, bytes: 0, expectedMs: 0 };
    this.#sums.set(key, sums);
    return sums;
  }
}
