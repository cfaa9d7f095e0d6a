import type { MessageInitShape } from '@bufbuild/protobuf';
import type { PlacementDecisionSchema } from '@meridian/contracts/region';
import type { Explanation } from '../placement/decision-log.ts';

/** A decision for those who ask why. */
export function decisionMessage(explanation: Explanation): MessageInitShape<typeof PlacementDecisionSchema> {
  const { attempt, fence, decidedMs, winner = '', priority, modelDigest, territory, waitWeight } = explanation;
  const restricted = territory?.isRestricted === true;
  return {
    ...{ attempt, winner, priority, modelDigest, waitWeight },
    fence: BigInt(fence),
    decidedUnixMs: BigInt(Math.round(decidedMs)),
    restricted,
    allowedRegions: restricted ? [...territory.allowed].sort() : [],
    preferredRegions: [...(territory?.preferred ?? [])].sort(),
    candidates: explanation.candidates.map((candidate) => ({ ...candidate })),
  };
}
