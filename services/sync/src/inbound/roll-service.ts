import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type AliasViewSchema,
  type ReportEvidenceRequest,
  type RollService,
  RollState,
  type StartRollRequest,
  type RollGate as WireGate,
} from '@meridian/contracts/roll';
import { Failure } from '@meridian/failure';
import {
  type AliasEntry,
  aliasMessage,
  evidenceOf,
  type PhaseName,
  phaseMessage,
  phaseOf,
  type RollGate,
  rollState,
  targetIn,
  targetMessage,
} from '@meridian/replica';
import type { AllowList, CallContext, ServiceHandlers } from '@meridian/rpc';
import type { Clock } from '@meridian/runtime';
import type { Members } from '../replicator/members.ts';
import type { EvidenceDesk } from '../roll/evidence-desk.ts';
import type { RollRequest } from '../roll/plan-roll.ts';
import type { Caller, Rolls } from '../roll/rolls.ts';
import { authorOf } from './author.ts';
import { requireOwnRegion } from './own-region.ts';

export interface RollServiceOptions {
  readonly region: string;
  readonly members: Pick<Members, 'active'>;
  readonly rolls: Rolls;
  readonly evidence: EvidenceDesk;
  readonly clock: Clock;
}

const READERS = ['worker', 'scheduler', 'optimizer', 'operator', 'client'] as const;
/** Everything that is not named here is refused. */
export const ROLL_SERVICE_ALLOW: AllowList = {
  createAlias: ['operator'],
  listAliases: READERS,
  startRoll: ['operator'],
  getRoll: READERS,
  rollBack: ['operator'],
  reportEvidence: ['scheduler'],
};

const REPORTER = /^[A-Za-z0-9_.-]{1,63}$/;
const ROLL_ID = /^[0-9a-f]{16}$/;
/** What a region that has left the membership still means to a roll. */
const ENDS: ReadonlySet<PhaseName | undefined> = new Set<PhaseName>(['failed', 'left-out']);
const STATES = {
  settled: RollState.SETTLED,
  'under-way': RollState.UNDER_WAY,
  complete: RollState.COMPLETE,
  failed: RollState.FAILED,
} as const;

/** RollService: aliases and rolls, for operators and the region's schedulers. */
export function rollServiceHandlers(options: RollServiceOptions): ServiceHandlers<typeof RollService> {
  const { rolls } = options;
  const shown = (entry: AliasEntry) => ({ alias: view(entry, options), versionVector: rolls.vector.toString() });
  return {
    createAlias: async ({ alias, model }, context) => shown(await rolls.create(alias, model, callerOf(context))),
    listAliases: async () => ({
      aliases: rolls.all().map((entry) => view(entry, options)),
      versionVector: rolls.vector.toString(),
    }),
    startRoll: async (request, context) =>
      shown(await rolls.begin(request.alias, request.model, rollRequest(request), callerOf(context))),
    getRoll: async ({ alias }) => shown(rolls.get(alias)),
    rollBack: async ({ alias }, context) => shown(await rolls.back(alias, callerOf(context))),
    reportEvidence: async (request, context) => {
      reportEvidence(request, context, options);
      return {};
    },
  };
}

function reportEvidence(request: ReportEvidenceRequest, { peer }: CallContext, options: RollServiceOptions): void {
  requireOwnRegion({ peer }, options.region);
  const { rollId, reporter } = request;
  if (!ROLL_ID.test(rollId)) throw invalid('roll_id', 'ROLL_ID_INVALID');
  if (!REPORTER.test(reporter)) throw invalid('reporter', 'REPORTER_INVALID');
  const report = { old: evidenceOf(request.old), new: evidenceOf(request.new), atMs: options.clock.monotonicMs() };
  options.evidence.report(rollId, reporter, report);
}

function view(
  { roll, phases, losers }: AliasEntry,
  options: RollServiceOptions,
): MessageInitShape<typeof AliasViewSchema> {
  const { active } = options.members;
  const named = roll.waves.flat();
  const counted = named.filter((region) => active.includes(region) || ENDS.has(phaseOf(roll, phases, region)?.phase));
  const others = active.filter((region) => !named.includes(region));
  const own = options.evidence.of(roll.rollId, options.clock.monotonicMs());
  return {
    record: aliasMessage(roll),
    state: STATES[rollState(roll, phases)],
    regions: [...counted, ...others].map((region) => {
      const phase = phaseOf(roll, phases, region);
      return {
        region,
        wave: 1 + roll.waves.findIndex((wave) => wave.includes(region)),
        ...(phase !== undefined && { phase: phaseMessage(phase) }),
        serves: targetMessage(targetIn(roll, phases, region)),
        ...(region === options.region && named.includes(region) && own),
      };
    }),
    losers: losers.map(aliasMessage),
  };
}

function rollRequest({ waves, leaseMs, gate }: StartRollRequest): RollRequest {
  return {
    waves: waves.map(({ regions }) => regions),
    leaseMs: leaseMs === 0n ? undefined : Number(leaseMs),
    gate: gateOf(gate),
  };
}

/** 0 stands for the default. */
function gateOf(gate: WireGate | undefined): Partial<RollGate> {
  if (gate === undefined) return {};
  const { tasksMin, errorFactor, errorShareFloor, p95Factor, skipTasks } = gate;
  return {
    ...(tasksMin !== 0 && { tasksMin }),
    ...(errorFactor !== 0 && { errorFactor }),
    ...(errorShareFloor !== 0 && { errorShareFloor }),
    ...(p95Factor !== 0 && { p95Factor }),
    skipTasks,
  };
}

function callerOf({ peer, cause }: CallContext): Caller {
  return { author: authorOf(peer), cause };
}

function invalid(field: string, reason: string): Failure {
  return new Failure('INVALID_ARGUMENT', `${field} is not valid`, { reason });
}
