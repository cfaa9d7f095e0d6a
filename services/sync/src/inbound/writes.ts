import type { MessageInitShape } from '@bufbuild/protobuf';
import { parseDot, type VersionVector } from '@meridian/causality';
import type {
  DeleteRequest,
  DeleteResponseSchema,
  PutRequest,
  PutResponseSchema,
  ResolveConflictRequest,
  ResolveConflictResponseSchema,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { compareDots, type Entry, isConflicted } from '@meridian/replica';
import type { PlacedRegion } from '@meridian/residency';
import type { CallContext } from '@meridian/rpc';
import type { Written } from '../replication/protocol.ts';
import { authorOf } from './author.ts';
import { requireKey, requireWritable } from './key-rules.ts';
import type { SharedState } from './ports.ts';
import type { Session, SessionFields } from './session.ts';

/** As long as the other writers of the service wait for the log. */
const WRITE_TIMEOUT_MS = 10_000;

interface Edit extends SessionFields {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly context?: string | undefined;
}

/** `Put`, `Delete` and `ResolveConflict`: what operators write themselves. */
export class WriteHandlers {
  readonly #state: SharedState;
  readonly #session: Session;

  readonly #regions: readonly PlacedRegion[];

  constructor(state: SharedState, session: Session, regions: readonly PlacedRegion[]) {
    this.#state = state;
    this.#session = session;
    this.#regions = regions;
  }

  put(request: PutRequest, context: CallContext): Promise<MessageInitShape<typeof PutResponseSchema>> {
    return this.#edit(request, context);
  }

  delete(request: DeleteRequest, context: CallContext): Promise<MessageInitShape<typeof DeleteResponseSchema>> {
    return this.#edit({ ...request, value: undefined }, context);
  }

  /**
   * @throws Failure ABORTED / CONFLICT_CHANGED (look again), FAILED_PRECONDITION / NOT_CONFLICTED, NOT_FOUND / KEY_UNKNOWN,
   *   VERSION_UNKNOWN, INVALID_ARGUMENT / CHOICE_INVALID, KEY_RESERVED; for a tenant's record as requireWritable.
   */
  async resolveConflict(
    request: ResolveConflictRequest,
    call: CallContext,
  ): Promise<MessageInitShape<typeof ResolveConflictResponseSchema>> {
    const { key } = request;
    requireKey(key);
    await this.#session.reach(request, call.signal, key);
    const seen = await this.#session.reachContext(request.context, request, call.signal, key);
    const value = chosenValue(request, this.#conflictOf(key, seen));
    if (request.choice.case !== 'dot') requireWritable(key, value, this.#regions);
    const { vector } = await this.#write(key, value, call, seen);
    return { versionVector: vector.toString() };
  }

  async #edit({ key, value, context, ...session }: Edit, call: CallContext) {
    requireWritable(key, value, this.#regions);
    await this.#session.reach(session, call.signal, key);
    const seen =
      context === undefined ? undefined : await this.#session.reachContext(context, session, call.signal, key);
    const { changed, vector } = await this.#write(key, value, call, seen);
    return { versionVector: vector.toString(), changed };
  }

  #write(key: string, value: Uint8Array | undefined, call: CallContext, seen?: VersionVector): Promise<Written> {
    const change = { key, value, when: 'differs', author: authorOf(call.peer), ...(seen && { seen }) } as const;
    return this.#state.write(change, { timeoutMs: WRITE_TIMEOUT_MS, cause: call.cause });
  }

  #conflictOf(key: string, seen: VersionVector): Entry {
    const entry = this.#state.get(key);
    if (entry === undefined) throw new Failure('NOT_FOUND', `${key} is not known here`, { reason: 'KEY_UNKNOWN' });
    if (!entry.versions.every(({ dot }) => seen.contains(dot)))
      throw new Failure('ABORTED', `${key} has a version that you have not seen: look again, then resolve`, {
        reason: 'CONFLICT_CHANGED',
      });
    if (!isConflicted(entry))
      throw new Failure('FAILED_PRECONDITION', `${key} is not in conflict`, { reason: 'NOT_CONFLICTED' });
    return entry;
  }
}

function chosenValue({ key, choice }: ResolveConflictRequest, { versions }: Entry): Uint8Array | undefined {
  if (choice.case === 'dot') {
    const dot = parseDot(choice.value);
    const chosen = dot && versions.find((version) => compareDots(version.dot, dot) === 0);
    if (chosen !== undefined) return chosen.deleted ? undefined : chosen.value;
    throw new Failure('NOT_FOUND', `${key} has no version ${choice.value.slice(0, 100)}`, {
      reason: 'VERSION_UNKNOWN',
    });
  }
  if (choice.case === undefined || (choice.case === 'delete' && !choice.value))
    throw new Failure('INVALID_ARGUMENT', 'choice: name a version, give a value, or delete', {
      reason: 'CHOICE_INVALID',
    });
  return choice.case === 'value' ? choice.value : undefined;
}
