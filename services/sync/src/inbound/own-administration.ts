import { Failure } from '@meridian/failure';
import { isConflicted } from '@meridian/replica';
import type { RegionSyncStatus } from '../replication/status.ts';
import type { Administration, SharedState } from './ports.ts';

/** What a region can say of itself alone; the membership is that of the topology and cannot be changed. */
export function ownAdministration(region: string, state: Pick<SharedState, 'vector' | 'entries'>): Administration {
  const own = (): RegionSyncStatus => ({
    ...{ region, state: 'active', knownUntilMs: 0, rounds: 0, vector: state.vector, heardAtMs: 0 },
    ...{ pendingEntries: 0, lastFetchAtMs: 0, digest: '' },
    conflicts: Iterator.from(state.entries()).filter(isConflicted).toArray().length,
  });
  return {
    status: () => [own()],
    changeMember: () =>
      Promise.reject(new Failure('FAILED_PRECONDITION', 'the membership is fixed', { reason: 'MEMBERSHIP_FIXED' })),
  };
}
