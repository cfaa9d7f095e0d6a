import { create } from '@bufbuild/protobuf';
import { type PolicyDecision, PolicyDecisionSchema } from '@meridian/contracts/plan';
import type { GetSyncStatusResponse } from '@meridian/contracts/state';
import { formatMs } from './quantity.ts';

/** What a region's sync service has decided, as the plan shows decisions. */
export interface SyncDecisions {
  readonly decisions: readonly PolicyDecision[];
  /** Why there are none: the service did not answer. Else empty. */
  readonly problem: string;
}

/** One for each region that it asks. */
export function syncDecisions({ region, regions }: GetSyncStatusResponse): PolicyDecision[] {
  return regions.flatMap(({ region: peer, link }) => {
    if (link === undefined) return [];
    const decision = formatMs(link.intervalMs);
    return [create(PolicyDecisionSchema, { policy: 'sync-interval', region, peer, decision, reason: link.reason })];
  });
}
