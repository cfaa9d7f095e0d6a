import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  AliasRecordSchema,
  RegionPhaseRecordSchema,
  type Evidence as WireEvidence,
  RollPhase as WirePhase,
  type AliasTarget as WireTarget,
} from '@meridian/contracts/roll';
import {
  type AliasRoll,
  type AliasTarget,
  type Evidence,
  NO_EVIDENCE,
  type PhaseName,
  type RegionPhase,
} from './alias.ts';

/** Regions in all waves together; as many as a topology may have. */
export const ROLL_REGIONS_MAX = 64;
/** Of the reason of a phase. */
export const ROLL_REASON_CHARS_MAX = 512;

const PHASES: Readonly<Record<PhaseName, WirePhase>> = {
  loading: WirePhase.LOADING,
  'serving-new': WirePhase.SERVING_NEW,
  passed: WirePhase.PASSED,
  failed: WirePhase.FAILED,
  back: WirePhase.BACK,
  'cut-off': WirePhase.CUT_OFF,
  'left-out': WirePhase.LEFT_OUT,
};
const NAMES = new Map(Object.entries(PHASES).map(([name, wire]) => [wire, name as PhaseName]));

export function aliasMessage(roll: AliasRoll): MessageInitShape<typeof AliasRecordSchema> {
  return {
    alias: roll.alias,
    old: targetMessage(roll.old),
    new: targetMessage(roll.new),
    rollId: roll.rollId,
    waves: roll.waves.map((regions) => ({ regions: [...regions], generations: generationsOf(roll, regions) })),
    leaseMs: BigInt(roll.leaseMs),
    gate: { ...roll.gate },
    region: roll.region,
    startedUnixMs: BigInt(roll.startedMs),
  };
}

export function targetMessage({ model, digest }: AliasTarget) {
  return { model, modelDigest: digest };
}

export function phaseMessage(phase: RegionPhase): MessageInitShape<typeof RegionPhaseRecordSchema> {
  return {
    rollId: phase.rollId,
    phase: PHASES[phase.phase],
    reason: phase.reason.slice(0, ROLL_REASON_CHARS_MAX).toWellFormed(),
    sinceUnixMs: BigInt(phase.sinceMs),
    passed: phase.hasPassed,
    old: { ...phase.old },
    new: { ...phase.new },
  };
}

export function encodeAlias(roll: AliasRoll): Uint8Array {
  return toBinary(AliasRecordSchema, create(AliasRecordSchema, aliasMessage(roll)));
}

export function encodePhase(phase: RegionPhase): Uint8Array {
  return toBinary(RegionPhaseRecordSchema, create(RegionPhaseRecordSchema, phaseMessage(phase)));
}

/** @returns undefined for what is no record of this alias. */
export function decodeAlias(alias: string, value: Uint8Array): AliasRoll | undefined {
  const record = read(() => fromBinary(AliasRecordSchema, value));
  const gate = record?.gate;
  const [old, target] = [targetOf(record?.old), targetOf(record?.new)];
  if (record === undefined || gate === undefined || old === undefined || target === undefined) return undefined;
  const waves = record.waves.map(({ regions }) => regions);
  const regions = waves.flat();
  if (record.alias !== alias || record.rollId === '' || regions.length > ROLL_REGIONS_MAX) return undefined;
  if (waves.some((wave) => wave.length === 0) || new Set(regions).size < regions.length) return undefined;
  const { tasksMin, errorFactor, errorShareFloor, p95Factor, skipTasks } = gate;
  return {
    ...{ alias, old, new: target, rollId: record.rollId, waves, leaseMs: Number(record.leaseMs) },
    generations: new Map(
      record.waves.flatMap(({ regions: named, generations }) =>
        generations.slice(0, named.length).map((generation, i) => [named[i] as string, generation] as const),
      ),
    ),
    gate: { tasksMin, errorFactor, errorShareFloor, p95Factor, skipTasks },
    ...{ region: record.region, startedMs: Number(record.startedUnixMs) },
  };
}

/** @returns undefined for what is no phase that this version knows. */
export function decodePhase(value: Uint8Array): RegionPhase | undefined {
  const record = read(() => fromBinary(RegionPhaseRecordSchema, value));
  const phase = record && NAMES.get(record.phase);
  if (record === undefined || phase === undefined) return undefined;
  return {
    ...{ rollId: record.rollId, phase, reason: record.reason, sinceMs: Number(record.sinceUnixMs) },
    hasPassed: record.passed || phase === 'passed',
    ...{ old: evidenceOf(record.old), new: evidenceOf(record.new) },
  };
}

/** Numbers from outside: finite, not negative, no more errors than tasks. */
export function evidenceOf(wire: WireEvidence | undefined): Evidence {
  if (wire === undefined) return NO_EVIDENCE;
  const p95Ms = Number.isFinite(wire.p95Ms) && wire.p95Ms > 0 ? wire.p95Ms : 0;
  return { tasks: wire.tasks, errors: Math.min(wire.errors, wire.tasks), p95Ms };
}

/** Of all regions or of none. */
function generationsOf({ generations }: AliasRoll, regions: readonly string[]): number[] {
  const known = regions.map((region) => generations.get(region)).filter((generation) => generation !== undefined);
  return known.length === regions.length ? known : [];
}

function targetOf(wire: WireTarget | undefined): AliasTarget | undefined {
  if (wire === undefined || wire.model === '' || wire.modelDigest === '') return undefined;
  return { model: wire.model, digest: wire.modelDigest };
}

function read<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
