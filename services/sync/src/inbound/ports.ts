import type { Cause, Written } from '../replication/protocol.ts';
import type { RegionSyncStatus } from '../replication/status.ts';
import type { Replicator } from '../replicator/replicator.ts';

/** The region's replica, as the doors for people use it. */
export type SharedState = Pick<Replicator, 'vector' | 'hasSeen' | 'get' | 'entries' | 'onChange' | 'write' | 'watch'>;

/** What operators look at and decide of the replication itself. */
export interface Administration {
  /** One of each member, the own region's first. */
  status(): readonly RegionSyncStatus[];
  /** @throws Failure naming why the membership cannot be changed so. */
  changeMember(
    region: string,
    action: 'add' | 'remove',
    options: { readonly timeoutMs: number; readonly cause?: Cause | undefined; readonly author?: string },
  ): Promise<Written>;
}
