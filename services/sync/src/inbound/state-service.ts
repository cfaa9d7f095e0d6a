import type { StateService } from '@meridian/contracts/state';
import type { PlacedRegion } from '@meridian/residency';
import type { AllowList, ServiceHandlers } from '@meridian/rpc';
import type { BlobReplicator } from '../blobs/blob-replicator.ts';
import { FollowerHandlers, type FollowersOptions } from './followers.ts';
import { ModelHandlers, type ModelsOptions } from './models.ts';
import type { Administration } from './ports.ts';
import { ReadHandlers, type ReadsOptions } from './reads.ts';
import type { Refusals } from './refusals.ts';
import { Session } from './session.ts';
import { SyncStatusHandlers, type SyncStatusOptions } from './sync-status.ts';
import { WriteHandlers } from './writes.ts';

export interface StateServiceOptions
  extends ModelsOptions,
    Pick<FollowersOptions, 'awaited'>,
    Pick<ReadsOptions, 'history'> {
  readonly blobReplicator: BlobReplicator;
  readonly administration: Administration;
  readonly links: SyncStatusOptions['links'];
  readonly refusals: Refusals;
  /** Of regions.yaml: what a tenant's residency rule may name. */
  readonly regions: readonly PlacedRegion[];
}

const SERVICES = ['worker', 'scheduler', 'optimizer'] as const;
const PEOPLE = ['client', 'operator'] as const;

/** Everything that is not named here is refused. */
export const STATE_SERVICE_ALLOW: AllowList = {
  watch: SERVICES,
  readBlob: SERVICES,
  awaitRecords: ['worker', 'scheduler'],
  reportReady: ['worker'],
  addModel: ['operator'],
  removeModel: ['operator'],
  listModels: [...SERVICES, ...PEOPLE],
  get: PEOPLE,
  list: PEOPLE,
  watchKeys: PEOPLE,
  history: PEOPLE,
  listConflicts: PEOPLE,
  getSyncStatus: PEOPLE,
  watchSyncStatus: PEOPLE,
  listMembers: PEOPLE,
  put: ['operator'],
  delete: ['operator'],
  resolveConflict: ['operator'],
  changeMember: ['operator'],
};

/** StateService: the door of the region's other services, and of people, to the shared state. */
export function stateServiceHandlers(options: StateServiceOptions): ServiceHandlers<typeof StateService> {
  const { region, regions, replicator: state, clock, history, administration, links, refusals } = options;
  const session = new Session(state, clock);
  const followers = new FollowerHandlers(options);
  const models = new ModelHandlers(options);
  const reads = new ReadHandlers({ state, session, history });
  const writes = new WriteHandlers(state, session, regions);
  const status = new SyncStatusHandlers({ region, administration, links, state, clock });
  return {
    watch: (request, context) => followers.watch(request, context),
    readBlob: (request, context) => followers.readBlob(request, context),
    awaitRecords: (request, context) => followers.awaitRecords(request, context),
    addModel: (requests, context) => models.addModel(requests, context),
    removeModel: (request, context) => models.removeModel(request, context),
    listModels: async () => models.listModels(),
    reportReady: (request, context) => models.reportReady(request, context),
    get: (request, context) => refusals.around('read', context.peer, () => reads.get(request, context)),
    list: (request, context) => refusals.around('read', context.peer, () => reads.list(request, context)),
    watchKeys: (request, context) => reads.watchKeys(request, context),
    history: (request) => reads.history(request),
    listConflicts: (request, context) => reads.listConflicts(request, context),
    put: (request, context) => refusals.around('write', context.peer, () => writes.put(request, context)),
    delete: (request, context) => refusals.around('write', context.peer, () => writes.delete(request, context)),
    resolveConflict: (request, context) =>
      refusals.around('write', context.peer, () => writes.resolveConflict(request, context)),
    getSyncStatus: async () => status.getSyncStatus(),
    watchSyncStatus: (request, context) => status.watchSyncStatus(request, context),
    changeMember: (request, context) => status.changeMember(request, context),
    listMembers: async () => status.listMembers(),
  };
}
