import type { MessageInitShape } from '@bufbuild/protobuf';
import type { PolicyDecisionSchema } from '@meridian/contracts/plan';
import { type Assignment, type Plan, payloadForm } from '@meridian/placement';
import type { PlanInputs, PlannedDemand } from '../planning/inputs.ts';
import { cacheSize } from './cache-size.ts';

type Decision = Extract<MessageInitShape<typeof PolicyDecisionSchema>, { readonly $typeName?: never }>;

const MIB = 2 ** 20;
/** A plan of many sources is long enough without each link of each. */
const DECISIONS_MAX = 256;

/**
 * What is decided beside placement: what schedulers and operators could do better, with the reason. Only where what it needs
 * was measured.
 */
export function policyDecisions(inputs: PlanInputs, plan: Plan): Decision[] {
  const payloads = inputs.demands.flatMap((demand) => payloadsOf(demand, inputs, plan));
  return [...cachesOf(inputs), ...claimsAheadOf(inputs), ...payloads].slice(0, DECISIONS_MAX);
}

function cachesOf({ caches }: PlanInputs): Decision[] {
  return Array.from(caches, ([region, facts]): Decision => {
    const { bytes, ttlMs, reason } = cacheSize(facts);
    const size = bytes === undefined ? `as it is, ${Math.round(facts.bytesMax / MIB)} MiB` : `${bytes / MIB} MiB`;
    return { policy: 'cache', region, decision: `${size}, ${ttlMs / 1_000} s`, reason };
  });
}

/** Workers have no batches: this is what they take of their queues before they can work on it, each as it measures. */
function claimsAheadOf({ ahead }: PlanInputs): Decision[] {
  return Array.from(ahead, ([region, { workers, claims, fetchMs, serviceMs }]): Decision => {
    const whose = workers === 1 ? 'of one worker' : `medians of ${workers} workers`;
    const reason = `bytes are here ${short(fetchMs)} ms after they are asked for, a picture takes ${short(serviceMs)} ms: ${whose}`;
    return { policy: 'claims-ahead', region, decision: `${short(claims / workers)} per worker`, reason };
  });
}

/** One for each link that the plan sends the source over: what its schedulers do with the mean picture, by their own rule. */
function payloadsOf({ source, facts }: PlannedDemand, { problem }: PlanInputs, plan: Plan): Decision[] {
  const { picturePixels, modelPixels, downscaleMs, modelDigest, model } = facts;
  if (picturePixels < 1 || modelPixels < 1 || downscaleMs === 0) return [];
  const isRemote = (one: Assignment) => one.source === source && one.region !== source.origin;
  return plan.assignments.filter(isRemote).flatMap(({ region }): Decision[] => {
    const way = problem.way(source.origin, region);
    if (way === undefined) return [];
    const { form, reason } = payloadForm({
      picture: { bytes: source.pictureBytes, pixels: picturePixels },
      modelPixels,
      way,
      downscaleMs,
      isLossyAllowed: false,
    });
    return [
      { policy: 'payload-form', region: source.origin, peer: region, modelDigest, model, decision: form, reason },
    ];
  });
}

/** One decimal of what is below ten. */
function short(value: number): number {
  return Number(value.toFixed(value < 10 ? 1 : 0));
}
