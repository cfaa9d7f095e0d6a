import type { PriorityClassName } from '@meridian/contracts';
import type { Ending, Task } from '../tasks/task.ts';

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
  /** Means of the pictures that were answered; 0 before the first. */
  readonly picturePixels: number;
  readonly decodeMs: number;
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
  /** Answered pictures, fading as tasks do. */
  answers: number;
  pixels: number;
  decodeMs: number;
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
  readonly #allowedOf: (work: Task['work']) => ReadonlySet<string> | undefined;
  #tickedMs: number | undefined;
  /** Works with the same rule share its set of regions. */
  readonly #namesOf = new WeakMap<ReadonlySet<string>, string>();

  /** @param allowedOf regions that the rules of tenant and call leave; undefined: all */
  constructor(allowedOf: (work: Task['work']) => ReadonlySet<string> | undefined) {
    this.#allowedOf = allowedOf;
  }

  accepted({ work, pictureBytes }: Task): void {
    const sums = this.#sumsOf(work);
    if (sums === undefined) {
      this.#unlisted++;
      return;
    }
    sums.fresh++;
    sums.tasks++;
    sums.bytes += pictureBytes;
    sums.expectedMs += work.expectedServiceMs;
  }

  /** What an answer says of the picture and of the work with it. */
  ended({ work }: Pick<Task, 'work'>, { outcome, times }: Pick<Ending, 'outcome' | 'times'>): void {
    const rule = this.#ruleOf(work, this.#allowedOf(work));
    const sums = this.#sums.get(`${rule} ${work.modelDigest}`) ?? this.#sums.get(rule);
    if (sums === undefined || outcome.kind !== 'recognition') return;
    sums.answers++;
    sums.pixels += outcome.recognition.width * outcome.recognition.height;
    sums.decodeMs += times.decodeMs;
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
      sums.answers *= kept;
      sums.pixels *= kept;
      sums.decodeMs *= kept;
      sums.fresh = 0;
      if (sums.tasks / sums.seconds >= TASKS_PER_SECOND_MIN) continue;
      this.#sums.delete(key);
      if (sums.source.modelDigest === '') this.#merged--;
    }
  }

  /** As of the last tick; what was accepted since may be in them already. */
  get sources(): SourceRate[] {
    return [...this.#sums.values()].flatMap(
      ({ source, seconds, tasks, bytes, expectedMs, answers, pixels, decodeMs }) =>
        seconds === 0
          ? []
          : [
              {
                ...source,
                tasksPerSecond: tasks / seconds,
                pictureBytes: bytes / tasks,
                expectedServiceMs: expectedMs / tasks,
                picturePixels: answers > 0 ? pixels / answers : 0,
                decodeMs: answers > 0 ? decodeMs / answers : 0,
              },
            ],
    );
  }

  get unlistedPerSecond(): number {
    return this.#unlistedPerSecond;
  }

  #sumsOf(work: Task['work']): Sums | undefined {
    const { model, modelDigest, priority } = work;
    const allowed = this.#allowedOf(work);
    const rule = this.#ruleOf(work, allowed);
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

  #ruleOf({ priority }: Task['work'], allowed: SourceRate['allowed']): string {
    if (allowed === undefined) return `${priority} *`;
    const known = this.#namesOf.get(allowed) ?? [...allowed].sort().join();
    this.#namesOf.set(allowed, known);
    return `${priority} ${known}`;
  }

  #begin(key: string, source: Sums['source']): Sums {
    const sums = {
      source,
      fresh: 0,
      seconds: 0,
      tasks: 0,
      bytes: 0,
      expectedMs: 0,
      answers: 0,
      pixels: 0,
      decodeMs: 0,
    };
    this.#sums.set(key, sums);
    return sums;
  }
}
