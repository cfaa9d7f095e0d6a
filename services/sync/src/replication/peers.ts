import { type ActorId, VersionVector } from '@meridian/causality';
import type { Random } from '@meridian/runtime';
import { FetchSchedule } from './fetch-schedule.ts';
import type { MemberState } from './membership.ts';
import { type Heard, PeerKnowledge } from './peer-knowledge.ts';
import type { FetchRequest, Head, Now } from './protocol.ts';
import type { RegionSyncStatus } from './status.ts';

export interface PeersOptions {
  readonly region: string;
  readonly random: Random;
  readonly fetchIntervalMs: number;
  readonly fetchBytesMax: number;
  readonly generation: number;
}

interface Peer {
  readonly schedule: FetchSchedule;
  readonly knowledge: PeerKnowledge;
  hasAnswered: boolean;
  /** The digest of the peer that differed last, at an equal vector. */
  differed: string;
}

/** A peer that was silent for longer is asked as soon as it is heard again. */
const SILENT_MS = 3_000;
/** A difference must last over two heads: one of the two may have been under way. */
const NO_DIFFERENCE = '';

/**
 * All other active regions: when each is asked, and what is known of it.
 *
 * 1. A round of this region is complete when something of every peer has been applied completely since the last one.
 */
export class Peers {
  readonly #options: PeersOptions;
  readonly #peers = new Map<string, Peer>();
  #rounds = 0;
  #lastFetchAtMs = 0;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  update(regions: readonly string[]): void {
    if (regions.length === this.#peers.size && regions.every((region) => this.#peers.has(region))) return;
    for (const region of [...this.#peers.keys()]) if (!regions.includes(region)) this.#peers.delete(region);
    const { region: own, random, fetchIntervalMs, fetchBytesMax, generation } = this.#options;
    const common = { region: own, random, intervalMs: fetchIntervalMs, bytesMax: fetchBytesMax, generation };
    for (const region of regions) {
      if (this.#peers.has(region)) continue;
      const schedule = new FetchSchedule({ ...common, peer: region });
      this.#peers.set(region, {
        schedule,
        knowledge: new PeerKnowledge(),
        hasAnswered: false,
        differed: NO_DIFFERENCE,
      });
    }
  }

  *schedules(): Iterable<FetchSchedule> {
    for (const { schedule } of this.#peers.values()) yield schedule;
  }

  scheduleOf(region: string): FetchSchedule | undefined {
    return this.#peers.get(region)?.schedule;
  }

  /** What rounds that are under way have taken over of a key; see {@link FetchSchedule.seenOf}. */
  seenOf(key: string): VersionVector {
    let seen = VersionVector.EMPTY;
    for (const { schedule } of this.#peers.values()) seen = seen.merge(schedule.seenOf(key) ?? VersionVector.EMPTY);
    return seen;
  }

  get isFetching(): boolean {
    return [...this.#peers.values()].some(({ schedule }) => schedule.isUnderWay);
  }

  get unanswered(): ReadonlySet<string> {
    return new Set([...this.#peers].filter(([, { hasAnswered }]) => !hasAnswered).map(([region]) => region));
  }

  haveAnsweredSince(monotonicMs: number): boolean {
    return [...this.#peers.values()].every(({ schedule }) => schedule.completedAtMs >= monotonicMs);
  }

  hastenAll(nowMs: number): void {
    for (const { schedule } of this.#peers.values()) schedule.hasten(nowMs);
  }

  hear(region: string, head: Head, now: Now): Heard {
    const peer = this.#peers.get(region);
    if (peer === undefined) return 'old';
    if (peer.knowledge.silentForMs(now.monotonicMs) > SILENT_MS) peer.schedule.hasten(now.monotonicMs);
    return peer.knowledge.hear(head, now);
  }

  actorsHeard(region: string, nowMs: number): readonly ActorId[] {
    return this.#peers.get(region)?.knowledge.actorsHeard(nowMs) ?? [];
  }

  /** The page has been applied. */
  applied(region: string, nextKey: string, now: Now): FetchRequest | 'completed' | 'failed' | undefined {
    const peer = this.#peers.get(region);
    if (peer === undefined) return undefined;
    const { firstSentAtMs } = peer.schedule;
    const next = peer.schedule.applied(nextKey, now.monotonicMs);
    if (!(next instanceof VersionVector)) return next;
    peer.hasAnswered = true;
    peer.knowledge.await(next, firstSentAtMs);
    if ([...this.#peers.values()].every(({ schedule }) => schedule.completedAtMs > 0)) this.#lastFetchAtMs = now.wallMs;
    return 'completed';
  }

  /** This region has seen `vector` now. */
  reached(vector: VersionVector): void {
    for (const { knowledge } of this.#peers.values()) knowledge.reached(vector);
    if (![...this.#peers.values()].every(({ knowledge }) => knowledge.isFresh)) return;
    this.#rounds++;
    for (const { knowledge } of this.#peers.values()) knowledge.endRound();
  }

  timesCaughtUpWith(region: string): number {
    return this.#peers.get(region)?.knowledge.timesCaughtUp ?? 0;
  }

  /** What a region is known to have seen; undefined when it has not been heard in this life. */
  seenBy(region: string): VersionVector | undefined {
    return this.#peers.get(region)?.knowledge.head?.vector;
  }

  /** Whether the peer shows a digest other than ours, twice in a row, although it has seen the same. */
  disagrees(region: string, digest: string): boolean {
    const peer = this.#peers.get(region);
    const theirs = peer?.knowledge.head?.digest;
    if (peer === undefined || theirs === undefined) return false;
    const difference = digest === '' || theirs === '' || digest === theirs ? NO_DIFFERENCE : `${digest} ${theirs}`;
    const isRepeated = difference !== NO_DIFFERENCE && difference === peer.differed;
    // After an alarm two further heads are needed for the next one.
    peer.differed = isRepeated ? NO_DIFFERENCE : difference;
    return isRepeated;
  }

  /** t_j: without peers the region knows everything at any time. */
  knownUntilMs(nowMs: number): number {
    let known = nowMs;
    for (const { knowledge } of this.#peers.values()) known = Math.min(known, knowledge.knownUntilMs);
    return known;
  }

  get rounds(): number {
    return this.#rounds;
  }

  get lastFetchAtMs(): number {
    return this.#lastFetchAtMs;
  }

  status(
    region: string,
    state: MemberState,
    missing: (seen: VersionVector) => number,
    outward: (vector: VersionVector) => VersionVector,
  ): RegionSyncStatus {
    const knowledge = this.#peers.get(region)?.knowledge;
    const head = knowledge?.head;
    const isGone = state === 'removing' || state === 'removed';
    return {
      region,
      state: isGone ? state : head === undefined ? 'unheard' : head.isRecovering ? 'recovering' : 'active',
      knownUntilMs: head?.knownUntilMs ?? 0,
      rounds: head?.rounds ?? 0,
      vector: head === undefined ? VersionVector.EMPTY : outward(head.vector),
      heardAtMs: knowledge?.heardAtMs ?? 0,
      pendingEntries: head === undefined ? 0 : missing(head.vector),
      lastFetchAtMs: head?.lastFetchAtMs ?? 0,
      conflicts: head?.conflicts ?? 0,
      digest: head?.digest ?? '',
    };
  }
}
