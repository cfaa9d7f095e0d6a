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
  return [...cachesOf(inputs), ...payloads].slice(0, DECISIONS_MAX);
}

function cachesOf({ caches }: PlanInputs): Decision[] {
  return Array.from(caches, ([region, facts]): Decision => {
    const { bytes, ttlMs, reason } = cacheSize(facts);
    const size = bytes === undefined ? `as it is, ${Math.round(facts.bytesMax / MIB)} MiB` : `${bytes / MIB} MiB`;
    return { policy: 'cache', region, decision: `${size}, ${ttlMs / 1_000} s`, reason };
  });
}

/** One for each link that the plan sends the source over. */
function payloadsOf({ source, facts }: PlannedDemand, { problem }: PlanInputs, plan: Plan): Decision[] {
  const { picturePixels, modelPixels, decodeMs, modelDigest, model } = facts;
  if (picturePixels < 1 || modelPixels < 1 || decodeMs === 0) return [];
  const isRemote = (one: Assignment) => one.source === source && one.region !== source.origin;
  return plan.assignments.filter(isRemote).flatMap(({ region }): Decision[] => {
    const way = problem.way(source.origin, region);
    if (way === undefined) return [];
    const { form, reason } = payloadForm({
      picture: { bytes: source.pictureBytes, ...squareOf(picturePixels) },
      model: squareOf(modelPixels),
      way,
      megabytePriceMs: plan.regions.find((one) => one.region === region)?.megabytePriceMs ?? 0,
      // Decoding and scaling, as workers take for it; encoding is not measured, so that it is not too long.
      downscaleMs: decodeMs,
      isLossyAllowed: false,
    });
    return [
      { policy: 'payload-form', region: source.origin, peer: region, modelDigest, model, decision: form, reason },
    ];
  });
}

/** Only the product of the sides matters. */
function squareOf(pixels: number) {
  const side = Math.sqrt(pixels);
  return { width: side, height: side };
}
