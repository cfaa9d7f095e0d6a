/** One version of a model. */
export interface AliasTarget {
  readonly model: string;
  /** `sha256:…` of the canonical manifest. */
  readonly digest: string;
}

/** When a region's new model counts as good. */
export interface RollGate {
  readonly tasksMin: number;
  readonly errorFactor: number;
  readonly errorShareFloor: number;
  readonly p95Factor: number;
  readonly skipTasks: boolean;
}

/** What an alias meant, what it is to mean, and in which order the regions move. */
export interface AliasRoll {
  readonly alias: string;
  readonly old: AliasTarget;
  readonly new: AliasTarget;
  /** Of this record. Phases that name another one do not count. */
  readonly rollId: string;
  /** None: every region at once, without a gate. */
  readonly waves: readonly (readonly string[])[];
  /** Of the membership of the regions when the record was written; one that is not named here counts whatever it has. */
  readonly generations: ReadonlyMap<string, number>;
  readonly leaseMs: number;
  readonly gate: RollGate;
  /** Where and when it was written, for people. */
  readonly region: string;
  readonly startedMs: number;
}

/** What came of tasks with one model in one entry region. */
export interface Evidence {
  readonly tasks: number;
  readonly errors: number;
  readonly p95Ms: number;
}

export type PhaseName = 'loading' | 'serving-new' | 'passed' | 'failed' | 'back' | 'cut-off' | 'left-out';

/** How far one region is. */
export interface RegionPhase {
  readonly rollId: string;
  readonly phase: PhaseName;
  readonly reason: string;
  readonly sinceMs: number;
  /** Its gate was passed, in this phase or before; or the region was removed, and nobody waits for it. */
  readonly hasPassed: boolean;
  readonly old: Evidence;
  readonly new: Evidence;
}

export const NO_EVIDENCE: Evidence = { tasks: 0, errors: 0, p95Ms: 0 };

export type Phases = ReadonlyMap<string, RegionPhase>;
export type RollState = 'settled' | 'under-way' | 'complete' | 'failed';

/**
 * Where the whole roll is. A region that has failed never passes and one that has passed never fails, so `complete` and
 * `failed` exclude each other, and both are for good: two regions that know different phases cannot disagree about which.
 */
export function rollState(roll: AliasRoll, phases: Phases): RollState {
  const regions = roll.waves.flat();
  if (regions.length === 0) return 'settled';
  const own = regions.map((region) => phaseOf(roll, phases, region));
  if (own.some((phase) => phase?.phase === 'failed')) return 'failed';
  return own.every((phase) => phase?.hasPassed === true) ? 'complete' : 'under-way';
}

/** The region's phase in this roll; undefined before its wave, and when its record is of another roll. */
export function phaseOf(roll: AliasRoll, phases: Phases, region: string): RegionPhase | undefined {
  const phase = phases.get(region);
  return phase?.rollId === roll.rollId ? phase : undefined;
}

/** Whether a region of this generation is the one that the record names: one that was added again since is not. */
export function isInRoll(roll: AliasRoll, region: string, generation: number): boolean {
  return roll.waves.flat().includes(region) && (roll.generations.get(region) ?? generation) === generation;
}

/** What the alias means in tasks that enter at `region`. */
export function targetIn(roll: AliasRoll, phases: Phases, region: string): AliasTarget {
  const state = rollState(roll, phases);
  if (state === 'settled' || state === 'complete') return roll.new;
  if (state === 'failed') return roll.old;
  const phase = phaseOf(roll, phases, region)?.phase;
  return phase === 'serving-new' || phase === 'passed' ? roll.new : roll.old;
}

/** What the alias means when nothing moves any more; undefined while a roll is under way. */
export function settledTarget(roll: AliasRoll, phases: Phases): AliasTarget | undefined {
  const state = rollState(roll, phases);
  if (state === 'under-way') return undefined;
  return state === 'failed' ? roll.old : roll.new;
}
