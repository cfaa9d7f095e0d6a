import { Failure } from '@meridian/failure';
import {
  type AliasEntry,
  type AliasRoll,
  type AliasTarget,
  ROLL_REGIONS_MAX,
  type RollGate,
  rollState,
  settledTarget,
} from '@meridian/replica';

/** What an operator asks for. Undefined fields have their defaults. */
export interface RollRequest {
  readonly waves: readonly (readonly string[])[];
  readonly leaseMs: number | undefined;
  readonly gate: Partial<RollGate>;
}

/** Of a record: where, when, and what no other record has. */
export interface RecordMark {
  readonly rollId: string;
  readonly region: string;
  readonly startedMs: number;
}

const LEASE_MS = { default: 60_000, min: 1_000, max: 24 * 3_600_000 };
/** Above what a model of the next size takes (centernet 320 → 512: 2.6 times), below what nobody wants unannounced. */
const P95_FACTOR = 3.5;
/** Below what a scheduler remembers of a model. */
const GATE_TASKS_MAX = 500;
const FACTOR_MAX = 1_000;
const DEFAULT_GATE: RollGate = {
  tasksMin: 50,
  errorFactor: 2,
  errorShareFloor: 0.02,
  p95Factor: P95_FACTOR,
  skipTasks: false,
};

/** An alias that moves nowhere. */
export function settledRecord(alias: string, target: AliasTarget, mark: RecordMark): AliasRoll {
  const nowhere = { waves: [], generations: new Map() };
  return { alias, old: target, new: target, ...nowhere, leaseMs: LEASE_MS.default, gate: DEFAULT_GATE, ...mark };
}

/**
 * The record that begins a roll.
 * @param members generations of the regions that belong to the state, in the order in which they move when the request
 *   names no waves
 * @throws Failure FAILED_PRECONDITION (ROLL_UNDER_WAY, ALIAS_CONFLICTED, ALIAS_THERE), INVALID_ARGUMENT / ROLL_INVALID
 */
export function startedRecord(
  { roll, phases, losers }: AliasEntry,
  target: AliasTarget,
  request: RollRequest,
  members: ReadonlyMap<string, number>,
  mark: RecordMark,
): AliasRoll {
  const { alias } = roll;
  const current = settledTarget(roll, phases);
  if (current === undefined)
    throw refused(
      'ROLL_UNDER_WAY',
      `${alias} is on its way from ${roll.old.model} to ${roll.new.model} (roll ${roll.rollId}, begun in ${roll.region}); wait, or take it back with --back`,
    );
  if (losers.length > 0)
    throw refused(
      'ALIAS_CONFLICTED',
      `${alias} was rolled in two regions that did not hear of each other; resolve the conflict, or settle it with --back`,
    );
  if (current.digest === target.digest) throw refused('ALIAS_THERE', `${alias} is ${target.model} already`);
  return {
    ...{ alias, old: current, new: target, ...mark },
    waves: wavesOf(request.waves, [...members.keys()]),
    generations: members,
    leaseMs: leaseOf(request.leaseMs),
    gate: gateOf(request.gate),
  };
}

/**
 * The record that takes every region back to the model before the roll, or ends it there.
 * @throws Failure FAILED_PRECONDITION / NOTHING_TO_GO_BACK_TO
 */
export function backRecord({ roll, phases, losers }: AliasEntry, mark: RecordMark): AliasRoll {
  const isSettled = rollState(roll, phases) === 'settled' && losers.length === 0;
  if (isSettled)
    throw refused('NOTHING_TO_GO_BACK_TO', `${roll.alias} is ${roll.new.model}, and no roll is known here`);
  return settledRecord(roll.alias, roll.old, mark);
}

function wavesOf(asked: readonly (readonly string[])[], members: readonly string[]): readonly (readonly string[])[] {
  if (asked.length === 0) return members.map((region) => [region]);
  const named = asked.flat();
  if (named.length > ROLL_REGIONS_MAX) throw invalid(`waves: more than ${ROLL_REGIONS_MAX} regions`);
  if (asked.some((wave) => wave.length === 0)) throw invalid('waves: one of them is empty');
  const unknown = named.find((region) => !members.includes(region));
  if (unknown !== undefined) throw invalid(`waves: there is no region ${JSON.stringify(unknown.slice(0, 63))}`);
  const twice = named.find((region, i) => named.indexOf(region) !== i);
  if (twice !== undefined) throw invalid(`waves: ${twice} is named twice`);
  const others = members.filter((region) => !named.includes(region));
  return others.length === 0 ? asked : [...asked, others];
}

function leaseOf(asked: number | undefined): number {
  const leaseMs = asked ?? LEASE_MS.default;
  if (leaseMs >= LEASE_MS.min && leaseMs <= LEASE_MS.max) return leaseMs;
  throw invalid(`lease_ms: expected ${LEASE_MS.min} … ${LEASE_MS.max}`);
}

function gateOf(asked: Partial<RollGate>): RollGate {
  const gate = { ...DEFAULT_GATE, ...asked };
  if (gate.tasksMin < 1 || gate.tasksMin > GATE_TASKS_MAX) throw invalid(`gate.tasks_min: 1 … ${GATE_TASKS_MAX}`);
  if (!within(gate.errorFactor, 0, FACTOR_MAX)) throw invalid(`gate.error_factor: 0 … ${FACTOR_MAX}`);
  if (!within(gate.errorShareFloor, 0, 1)) throw invalid('gate.error_share_floor: 0 … 1');
  if (!within(gate.p95Factor, 0, FACTOR_MAX)) throw invalid(`gate.p95_factor: 0 … ${FACTOR_MAX}`);
  return gate;
}

function within(value: number, min: number, max: number): boolean {
  return Number.isFinite(value) && value >= min && value <= max;
}

function refused(reason: string, message: string): Failure {
  return new Failure('FAILED_PRECONDITION', message, { reason });
}

function invalid(problem: string): Failure {
  return new Failure('INVALID_ARGUMENT', problem, { reason: 'ROLL_INVALID' });
}
