import type { MessageInitShape } from '@bufbuild/protobuf';
import { formatDot, VersionVector } from '@meridian/causality';
import type {
  GetRequest,
  GetResponseSchema,
  HistoryRequest,
  HistoryResponseSchema,
  ListConflictsRequest,
  ListConflictsResponseSchema,
  ListRequest,
  ListResponseSchema,
  WatchKeysRequest,
  WatchKeysResponseSchema,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { currentValue, type Entry, isConflicted, TENANT_PREFIX } from '@meridian/replica';
import { type CallContext, parseSessionToken } from '@meridian/rpc';
import { absentView, entryView, tokenOf, versionView } from '../codec/entry-view.ts';
import { type History, VERSIONS_KEPT_MAX } from '../history/history.ts';
import { type EntryPage, pageOf } from './entry-page.ts';
import { KeyNews } from './key-news.ts';
import { requireConfigKey, requireKey } from './key-rules.ts';
import type { SharedState } from './ports.ts';
import type { Session } from './session.ts';

export interface ReadsOptions {
  readonly state: SharedState;
  readonly session: Session;
  readonly history: Pick<History, 'read'>;
}

/** `Get`, `List`, `ListConflicts`, `WatchKeys` and `History`. */
export class ReadHandlers {
  readonly #o: ReadsOptions;

  constructor(options: ReadsOptions) {
    this.#o = options;
  }

  async get(request: GetRequest, { signal }: CallContext): Promise<MessageInitShape<typeof GetResponseSchema>> {
    const { state, session } = this.#o;
    const { key } = request;
    requireKey(key);
    await session.reach(request, signal, key);
    const { vector } = state;
    const entry = state.get(key);
    return {
      entry: entry === undefined ? absentView(key, vector) : entryView(entry, vector),
      versionVector: tokenOf(vector, entry === undefined ? [] : [entry]),
    };
  }

  async list(request: ListRequest, { signal }: CallContext): Promise<MessageInitShape<typeof ListResponseSchema>> {
    await this.#o.session.reach(request, signal);
    const isShown = (entry: Entry) => request.withDeleted || currentValue(entry) !== undefined || isConflicted(entry);
    return this.#page(pageOf(this.#o.state.entries(), request, isShown));
  }

  async listConflicts(
    request: ListConflictsRequest,
    { signal }: CallContext,
  ): Promise<MessageInitShape<typeof ListConflictsResponseSchema>> {
    await this.#o.session.reach(request, signal);
    return this.#page(pageOf(this.#o.state.entries(), request, isConflicted));
  }

  /** @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_WATCHES. Retryable. */
  async *watchKeys(
    { prefix, versionVector }: WatchKeysRequest,
    context: CallContext,
  ): AsyncGenerator<MessageInitShape<typeof WatchKeysResponseSchema>> {
    const seen = versionVector === '' ? VersionVector.EMPTY : parseSessionToken(versionVector);
    const news = new KeyNews(seen);
    // A drain ends the streams: readers take up again from their vector, at the next life of this process.
    const signal = AbortSignal.any([context.signal, context.draining]);
    let isBehind = true;
    for await (const { entries, vector, caughtUp } of this.#o.state.watch(seen, signal)) {
      const shown = entries.filter((entry) => entry.key.startsWith(prefix) && news.take(entry));
      if (shown.length === 0 && !(isBehind && caughtUp)) continue;
      isBehind = !caughtUp;
      yield { entries: shown.map((entry) => entryView(entry, vector)), versionVector: vector.toString(), caughtUp };
    }
  }

  async history({ key, limit }: HistoryRequest): Promise<MessageInitShape<typeof HistoryResponseSchema>> {
    if (!key.startsWith(TENANT_PREFIX)) requireConfigKey(key);
    if (limit > VERSIONS_KEPT_MAX)
      throw new Failure('INVALID_ARGUMENT', `limit: expected at most ${VERSIONS_KEPT_MAX}`, {
        reason: 'LIMIT_INVALID',
      });
    const seen = await this.#o.history.read(key);
    const { vector } = this.#o.state;
    const entry = this.#o.state.get(key);
    const current = new Set(entry?.versions.map(({ dot }) => formatDot(dot)));
    const items = seen.slice(0, limit || VERSIONS_KEPT_MAX).map(({ version, seenAtMs }) => ({
      version: versionView(version),
      seenUnixMs: BigInt(seenAtMs),
      current: current.has(formatDot(version.dot)),
    }));
    return { items, versionVector: tokenOf(vector, entry === undefined ? [] : [entry]) };
  }

  #page({ entries, nextKey }: EntryPage) {
    const { vector } = this.#o.state;
    return {
      entries: entries.map((entry) => entryView(entry, vector)),
      nextKey,
      versionVector: tokenOf(vector, entries),
    };
  }
}
