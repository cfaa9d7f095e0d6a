import type { MessageInitShape } from '@bufbuild/protobuf';
import type { PlacementDecisionSchema } from '@meridian/contracts/region';
import type { Explanation } from '../placement/decision-log.ts';

/** A decision for those who ask why. */
export function decisionMessage(explanation: Explanation): MessageInitShape<typeof PlacementDecisionSchema> {
  const { attempt, fence, decidedMs, winner = '', priority, modelDigest, allowedRegions, waitWeight } = explanation;
  return {
    ...{ attempt, winner, priority, modelDigest, waitWeight },
    fence: BigInt(fence),
    decidedUnixMs: BigInt(Math.round(decidedMs)),
    restricted: allowedRegions !== undefined,
    allowedRegions: [...(allowedRegions ?? [])].sort(),
    candidates: explanation.candidates.map((candidate) => ({ ...candidate })),
  };
}
