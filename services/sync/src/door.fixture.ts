import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  ChangeMemberRequestSchema,
  DeleteRequestSchema,
  DeleteResponseSchema,
  GetRequestSchema,
  GetResponseSchema,
  GetSyncStatusRequestSchema,
  GetSyncStatusResponseSchema,
  HistoryRequestSchema,
  HistoryResponseSchema,
  ListConflictsRequestSchema,
  ListConflictsResponseSchema,
  ListMembersRequestSchema,
  ListMembersResponseSchema,
  ListModelsResponseSchema,
  ListRequestSchema,
  ListResponseSchema,
  type MemberAction,
  PutRequestSchema,
  PutResponseSchema,
  ResolveConflictRequestSchema,
  WatchKeysRequestSchema,
  WatchKeysResponseSchema,
  WatchRequestSchema,
  WatchResponseSchema,
  WatchSyncStatusRequestSchema,
  WatchSyncStatusResponseSchema,
} from '@meridian/contracts/state';
import type { CallContext } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { ModelHandlers } from './inbound/models.ts';
import { stateServiceHandlers } from './inbound/state-service.ts';
import type { RunningRegion } from './region.fixture.ts';

interface Put {
  readonly key: string;
  readonly value: string;
  readonly context?: string;
  readonly versionVector?: string;
  readonly waitMs?: number;
}

/** The region's gRPC handlers, as an operator of it calls them, without a socket between. */
export function openDoor(running: RunningRegion, name = 'admin') {
  const { region } = running;
  const tracer = trace.getTracer('test');
  const options = { ...running, region, tracer, clock: systemClock };
  const handlers = stateServiceHandlers(options);
  const ended = new AbortController();
  const context: CallContext = {
    peer: { role: 'operator', region, name },
    deadlineMs: undefined,
    signal: ended.signal,
    draining: new AbortController().signal,
    cause: undefined,
    traceContext: ROOT_CONTEXT,
    metadata: new Map(),
  };
  return {
    /** Ends its streams. */
    close: () => ended.abort(),
    /** As the region's services follow it. */
    watch: async function* (
      request: MessageInitShape<typeof WatchRequestSchema>,
      { signal = ended.signal }: { readonly signal?: AbortSignal | undefined } = {},
    ) {
      for await (const update of handlers.watch(create(WatchRequestSchema, request), { ...context, signal }))
        yield create(WatchResponseSchema, update);
    },
    get: async (request: MessageInitShape<typeof GetRequestSchema>) =>
      create(GetResponseSchema, await handlers.get(create(GetRequestSchema, request), context)),
    list: async (request: MessageInitShape<typeof ListRequestSchema>) =>
      create(ListResponseSchema, await handlers.list(create(ListRequestSchema, request), context)),
    put: async (request: Put, encoding: 'utf8' | 'latin1' = 'utf8') => {
      const message = create(PutRequestSchema, { ...request, value: Buffer.from(request.value, encoding) });
      return create(PutResponseSchema, await handlers.put(message, context));
    },
    delete: async (key: string) =>
      create(DeleteResponseSchema, await handlers.delete(create(DeleteRequestSchema, { key }), context)),
    watchKeys: async function* (request: MessageInitShape<typeof WatchKeysRequestSchema>) {
      for await (const update of handlers.watchKeys(create(WatchKeysRequestSchema, request), context))
        yield create(WatchKeysResponseSchema, update);
    },
    history: async (key: string, limit = 0) =>
      create(HistoryResponseSchema, await handlers.history(create(HistoryRequestSchema, { key, limit }), context)),
    conflicts: async () =>
      create(ListConflictsResponseSchema, await handlers.listConflicts(create(ListConflictsRequestSchema), context)),
    resolve: async (request: MessageInitShape<typeof ResolveConflictRequestSchema>) =>
      handlers.resolveConflict(create(ResolveConflictRequestSchema, request), context),
    status: async () =>
      create(GetSyncStatusResponseSchema, await handlers.getSyncStatus(create(GetSyncStatusRequestSchema), context)),
    watchStatus: async function* (intervalMs: number) {
      const request = create(WatchSyncStatusRequestSchema, { intervalMs });
      for await (const update of handlers.watchSyncStatus(request, context))
        yield create(WatchSyncStatusResponseSchema, update);
    },
    models: () => create(ListModelsResponseSchema, new ModelHandlers(options).listModels()),
    changeMember: async (region: string, action: MemberAction) =>
      handlers.changeMember(create(ChangeMemberRequestSchema, { region, action }), context),
    members: async () =>
      create(ListMembersResponseSchema, await handlers.listMembers(create(ListMembersRequestSchema), context)),
  };
}
