import {
  type AliasRoll,
  type Evidence,
  NO_EVIDENCE,
  type PhaseName,
  type Phases,
  phaseOf,
  type RegionPhase,
  rollState,
} from '@meridian/replica';
import { hasBaseline, judge } from './gate.ts';

/** What a region knows of itself when it decides. */
export interface OwnFacts {
  readonly region: string;
  /** Fewer than half of the roll's regions were heard of within its lease. */
  readonly isCutOff: boolean;
  /** A worker has loaded the new model, and it answered its golden pictures. */
  readonly isLoaded: boolean;
  /** Why no worker can; empty when none has said so. */
  readonly problem: string;
  readonly old: Evidence;
  /** Of the new model since the region turned to it. */
  readonly new: Evidence;
}

/** What a region never leaves in the same roll. */
const FINAL: ReadonlySet<PhaseName> = new Set(['failed', 'back', 'left-out']);
const NO_PHASE = { old: NO_EVIDENCE, new: NO_EVIDENCE };

/** The phase to write; its time is the caller's. */
export type NextPhase = Omit<RegionPhase, 'sinceMs' | 'rollId'>;

/**
 * The one place that decides about a region's phase. Pure: (record, phases as known here, own facts) → own next phase.
 *
 * 1. A region writes only its own phase, and the record that won counts: a phase of another roll is none.
 * 2. A wave begins when every region of all earlier waves has passed.
 * 3. `failed` and `back` are for good, and so is having passed. A region fails before it has passed or never, so a roll
 *    that is complete cannot fail any more, whatever a region learns how late.
 * 4. Any failure takes every region back.
 * 5. A region that is cut off serves the old model until it hears of the others; unless it knows that the roll is over.
 * 6. Time alone never passes a gate.
 * 7. A region that was removed is in the roll no more, also when it is added again. If it had not passed it is left out:
 *    see {@link leftOut}.
 *
 * @returns undefined when there is nothing to change
 */
export function decideRoll(roll: AliasRoll, phases: Phases, own: OwnFacts): NextPhase | undefined {
  const wave = roll.waves.findIndex((regions) => regions.includes(own.region));
  const mine = phaseOf(roll, phases, own.region);
  if (wave < 0 || (mine !== undefined && FINAL.has(mine.phase))) return undefined;
  const state = rollState(roll, phases);
  if (state === 'failed') return mine && next(mine, 'back', failureOf(roll, phases));
  if (state === 'complete') return mine?.phase === 'cut-off' ? next(mine, 'passed') : undefined;
  if (own.isCutOff) return cutOff(roll, mine);
  if (mine?.phase === 'passed') return undefined;
  if (mine?.phase === 'cut-off' && mine.hasPassed) return next(mine, 'passed');
  if (mine?.phase === 'serving-new') return gated(roll, mine, own);
  return hasBegun(roll, phases, wave) ? loading(roll, mine, own) : undefined;
}

/**
 * Regions whose phase has to be written by others, or by their next generation, because they were removed before they passed
 * or failed: once all is known that they wrote, so that none of them turns out to have failed later.
 * @param departed those that are in the roll no more, and of which that holds
 */
export function leftOut(roll: AliasRoll, phases: Phases, departed: readonly string[]): [region: string, NextPhase][] {
  if (rollState(roll, phases) !== 'under-way') return [];
  const open = roll.waves.flat().filter((region) => departed.includes(region));
  return open
    .filter((region) => phaseOf(roll, phases, region)?.hasPassed !== true)
    .map((region) => {
      const { old, new: tried } = phaseOf(roll, phases, region) ?? NO_PHASE;
      return [region, { phase: 'left-out', reason: 'removed from the membership', hasPassed: true, old, new: tried }];
    });
}

function hasBegun(roll: AliasRoll, phases: Phases, wave: number): boolean {
  const before = roll.waves.slice(0, wave).flat();
  return before.every((region) => phaseOf(roll, phases, region)?.hasPassed === true);
}

function loading(roll: AliasRoll, mine: RegionPhase | undefined, own: OwnFacts): NextPhase | undefined {
  if (own.isLoaded && hasBaseline(roll.gate, own.old))
    return { phase: 'serving-new', reason: '', hasPassed: false, old: own.old, new: NO_EVIDENCE };
  if (!own.isLoaded && own.problem !== '')
    return { phase: 'failed', reason: own.problem, hasPassed: false, old: own.old, new: NO_EVIDENCE };
  if (mine?.phase === 'loading') return undefined;
  return { phase: 'loading', reason: '', hasPassed: false, old: NO_EVIDENCE, new: NO_EVIDENCE };
}

function gated(roll: AliasRoll, mine: RegionPhase, own: OwnFacts): NextPhase | undefined {
  const verdict = judge(roll.gate, mine.old, own.new);
  if (verdict.kind === 'wait') return undefined;
  const judged = { ...mine, new: own.new };
  return verdict.kind === 'pass' ? next(judged, 'passed') : next(judged, 'failed', verdict.reason);
}

function cutOff(roll: AliasRoll, mine: RegionPhase | undefined): NextPhase | undefined {
  if (mine?.phase !== 'serving-new' && mine?.phase !== 'passed') return undefined;
  return next(mine, 'cut-off', `cut off from the roll for more than ${roll.leaseMs / 1_000} s`);
}

function next(mine: RegionPhase, phase: PhaseName, reason = ''): NextPhase {
  return { phase, reason, hasPassed: mine.hasPassed || phase === 'passed', old: mine.old, new: mine.new };
}

/** Which region failed, and why. */
function failureOf(roll: AliasRoll, phases: Phases): string {
  for (const region of roll.waves.flat()) {
    const phase = phaseOf(roll, phases, region);
    if (phase?.phase === 'failed') return `${region} failed: ${phase.reason}`;
  }
  return '';
}
