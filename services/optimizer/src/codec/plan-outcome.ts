import { hash } from 'node:crypto';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type PlannedLinkSchema,
  type PlannedRegionSchema,
  type PlannedSourceSchema,
  type PlanOutcome,
  PlanOutcomeSchema,
} from '@meridian/contracts/plan';
import type { Plan, PlanRegion, RegionPlan } from '@meridian/placement';
import { bottleneckOf } from '../planning/bottleneck.ts';
import type { PlanInputs, PlannedDemand } from '../planning/inputs.ts';
import { policyDecisions } from '../policies/decisions.ts';

/** The plan as it is published. Regions, sources, shares and links in the order of their names: same plan, same bytes. */
export function planOutcome(inputs: PlanInputs, plan: Plan): PlanOutcome {
  const rates = inputs.demands.map(({ source }) => source.tasksPerSecond);
  return create(PlanOutcomeSchema, {
    regions: plan.regions.map((region) => regionMessage(region, inputs)),
    sources: inputs.demands.map((demand) => sourceMessage(demand, inputs, plan)),
    links: linkMessages(inputs),
    latencyMs: plan.latencyMs,
    gap: plan.gap,
    tasksPerSecond: rates.reduce((sum, rate) => sum + rate, 0),
    shedPerSecond: plan.shed.reduce((sum, { tasksPerSecond }) => sum + tasksPerSecond, 0),
    bottleneck: bottleneckOf(plan),
    decisions: policyDecisions(inputs, plan),
    unlistedTasksPerSecond: inputs.unlistedPerSecond,
  });
}

/** SHA-256 of the encoded outcome. */
export function digestOf(outcome: PlanOutcome): Uint8Array {
  return Buffer.from(hash('sha256', toBinary(PlanOutcomeSchema, outcome), 'hex'), 'hex');
}

function regionMessage(planned: RegionPlan, { problem }: PlanInputs): MessageInitShape<typeof PlannedRegionSchema> {
  const { region, load, capacity, priceMs, waitMs, remoteBytesPerSecond, megabytePriceMs } = planned;
  const { workers, bandwidthMbps } = problem.regions.find(({ name }) => name === region) as PlanRegion;
  return { region, load, capacity, priceMs, waitMs, remoteBytesPerSecond, megabytePriceMs, workers, bandwidthMbps };
}

function sourceMessage(
  { source, facts }: PlannedDemand,
  { problem }: PlanInputs,
  plan: Plan,
): MessageInitShape<typeof PlannedSourceSchema> {
  const { origin, tasksPerSecond, taskCost, pictureBytes } = source;
  const waits = new Map(plan.regions.map(({ region, waitMs }) => [region, waitMs]));
  const shed = plan.shed.find((one) => one.source === source);
  const shares = plan.assignments
    .filter((one) => one.source === source)
    .map(({ region, tasksPerSecond: rate, latencyMs }) => {
      const roundTripMs = problem.way(origin, region)?.roundTripMs ?? 0;
      const { capacity, workers } = problem.regions.find(({ name }) => name === region) as PlanRegion;
      const serviceMs = (taskCost * workers * 1_000) / capacity;
      return {
        ...{ region, roundTripMs, serviceMs, tasksPerSecond: rate, share: Math.min(1, rate / tasksPerSecond) },
        transferMs: Math.max(0, latencyMs - roundTripMs - serviceMs),
        waitMs: waits.get(region) ?? 0,
      };
    });
  return {
    ...{ origin, tasksPerSecond, taskCost, pictureBytes, model: facts.model, modelDigest: facts.modelDigest },
    ...{
      priority: facts.priority,
      restricted: facts.allowed !== undefined,
      allowedRegions: [...(facts.allowed ?? [])],
    },
    runnableRegions: [...facts.runnable],
    shares: shares.sort((a, b) => (a.region < b.region ? -1 : 1)),
    shedPerSecond: shed?.tasksPerSecond ?? 0,
    shedReason: shed?.reason ?? '',
  };
}

function linkMessages({ links }: PlanInputs): MessageInitShape<typeof PlannedLinkSchema>[] {
  const origins = [...links.keys()].sort();
  return origins.flatMap((origin) =>
    Array.from(links.get(origin) ?? [], ([region, { roundTripMs, bandwidthMbps, transfers }]) => ({
      ...{ origin, region, roundTripMs, bandwidthMbps, transfers },
    })),
  );
}
