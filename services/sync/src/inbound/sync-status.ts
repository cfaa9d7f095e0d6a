import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type ChangeMemberRequest,
  type ChangeMemberResponseSchema,
  type GetSyncStatusResponseSchema,
  type ListMembersResponseSchema,
  MemberAction,
  RegionSyncState,
  type RegionSyncStatusSchema,
  type WatchSyncStatusRequest,
  type WatchSyncStatusResponseSchema,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import type { CallContext } from '@meridian/rpc';
import type { Clock } from '@meridian/runtime';
import type { LinkIntervals, LinkStatus } from '../links/link-intervals.ts';
import type { RegionSyncStatus } from '../replication/status.ts';
import { authorOf } from './author.ts';
import type { Administration, SharedState } from './ports.ts';

export interface SyncStatusOptions {
  readonly region: string;
  readonly administration: Administration;
  readonly links: Pick<LinkIntervals, 'statusOf'>;
  readonly state: Pick<SharedState, 'vector'>;
  readonly clock: Clock;
}

const INTERVAL_DEFAULT_MS = 1_000;
const INTERVAL_MS_MIN = 100;
const INTERVAL_MS_MAX = 60_000;
/** Each looks at the whole state once an interval. */
const STATUS_WATCHES_MAX = 64;
/** A change of the membership waits for the other regions. */
const CHANGE_TIMEOUT_MS = 20_000;
const REGION = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const STATES: Readonly<Record<RegionSyncStatus['state'], RegionSyncState>> = {
  active: RegionSyncState.ACTIVE,
  removing: RegionSyncState.REMOVING,
  removed: RegionSyncState.REMOVED,
  recovering: RegionSyncState.RECOVERING,
  unheard: RegionSyncState.UNHEARD,
};

type StatusMessage = Extract<MessageInitShape<typeof RegionSyncStatusSchema>, { readonly $typeName?: never }>;

/** Nobody asks these. */
const GONE: ReadonlySet<RegionSyncStatus['state']> = new Set(['removing', 'removed']);

/** `GetSyncStatus`, `WatchSyncStatus`, `ChangeMember` and `ListMembers`. */
export class SyncStatusHandlers {
  readonly #o: SyncStatusOptions;
  #watches = 0;

  constructor(options: SyncStatusOptions) {
    this.#o = options;
  }

  getSyncStatus(): MessageInitShape<typeof GetSyncStatusResponseSchema> {
    const { region, administration, links, clock } = this.#o;
    const isAsked = ({ region: other, state }: RegionSyncStatus) => other !== region && !GONE.has(state);
    const regions = administration
      .status()
      .map((status) => statusMessage(status, isAsked(status) ? links.statusOf(status.region) : undefined));
    return { region, regions, nowUnixMs: BigInt(Math.round(clock.nowMs())) };
  }

  async *watchSyncStatus(
    { intervalMs }: WatchSyncStatusRequest,
    context: CallContext,
  ): AsyncGenerator<MessageInitShape<typeof WatchSyncStatusResponseSchema>> {
    const everyMs = intervalMs || INTERVAL_DEFAULT_MS;
    if (everyMs < INTERVAL_MS_MIN || everyMs > INTERVAL_MS_MAX)
      throw invalid('interval_ms', `expected ${INTERVAL_MS_MIN} to ${INTERVAL_MS_MAX}`, 'INTERVAL_INVALID');
    if (this.#watches >= STATUS_WATCHES_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', `${STATUS_WATCHES_MAX} watches are open`, { reason: 'TOO_MANY_WATCHES' });
    const ended = AbortSignal.any([context.signal, context.draining]);
    this.#watches++;
    try {
      while (!ended.aborted) {
        yield { status: this.getSyncStatus() };
        await this.#o.clock.sleep(everyMs, ended).catch(() => undefined);
      }
    } finally {
      this.#watches--;
    }
  }

  async changeMember(
    { region, action }: ChangeMemberRequest,
    { peer, cause }: CallContext,
  ): Promise<MessageInitShape<typeof ChangeMemberResponseSchema>> {
    if (!REGION.test(region)) throw invalid('region', 'not the name of a region', 'REGION_INVALID');
    if (action !== MemberAction.ADD && action !== MemberAction.REMOVE)
      throw invalid('action', 'expected add or remove', 'ACTION_INVALID');
    const options = { timeoutMs: CHANGE_TIMEOUT_MS, cause, author: authorOf(peer) };
    const verb = action === MemberAction.ADD ? 'add' : 'remove';
    const { changed, vector } = await this.#o.administration.changeMember(region, verb, options);
    return { versionVector: vector.toString(), changed };
  }

  listMembers(): MessageInitShape<typeof ListMembersResponseSchema> {
    const members = this.#o.administration.status().map(({ region, state }) => ({ region, state: STATES[state] }));
    return { members, versionVector: this.#o.state.vector.toString() };
  }
}

function statusMessage(status: RegionSyncStatus, link: LinkStatus | undefined): StatusMessage {
  const { region, state, rounds, vector, pendingEntries, conflicts, digest } = status;
  const wall = (ms: number) => BigInt(Math.max(0, Math.round(ms)));
  return {
    ...{ region, state: STATES[state], rounds: BigInt(rounds), versionVector: vector.toString() },
    ...{ pendingEntries, conflicts, digest },
    knownUntilUnixMs: wall(status.knownUntilMs),
    heardUnixMs: wall(status.heardAtMs),
    lastFetchUnixMs: wall(status.lastFetchAtMs),
    ...(link !== undefined && { link: linkMessage(link) }),
  };
}

function linkMessage({ by, ...link }: LinkStatus): Exclude<StatusMessage['link'], undefined> {
  return { ...link, decidedBy: by };
}

function invalid(field: string, problem: string, reason: string): Failure {
  return new Failure('INVALID_ARGUMENT', `${field}: ${problem}`, { reason });
}
