import { type ActorId, type Dot, HybridLogicalClock, regionOf, VersionVector } from '@meridian/causality';
import { EndedEpochs, type Entry } from '@meridian/replica';
import type { Random } from '@meridian/runtime';
import { Commit } from './commit.ts';
import { FETCH_BYTES_MAX } from './fetch-schedule.ts';
import { Membership } from './membership.ts';
import { NodeClock } from './node-clock.ts';
import { HEARD_LATELY_MS } from './peer-knowledge.ts';
import { Peers } from './peers.ts';
import {
  type AlarmReason,
  type Append,
  type Cause,
  type Event,
  type FetchRequest,
  type LogRecord,
  META_KEY,
  type Meta,
  type Now,
  type Output,
} from './protocol.ts';
import type { RecoveredLog } from './state-log.ts';
import type { UpkeepSources } from './upkeep.ts';
import { View } from './view.ts';
import { WorkQueue } from './work-queue.ts';

/** Its time is the one of its being sent. */
export type Unstamped = Omit<LogRecord, 'last'>;

export interface RegionStateOptions {
  readonly region: string;
  /** All other regions of the topology. Records of the state add to them, and take from them. */
  readonly members: readonly string[];
  readonly random: Random;
  /** Between two complete fetches from a peer. Shorter heals sooner and costs one small request a peer and interval. */
  readonly fetchIntervalMs: number;
  /** Of one page that is asked for. Default {@link FETCH_BYTES_MAX}, which no answer exceeds. */
  readonly fetchBytesMax?: number;
  /** Versions of a peer whose timestamps are further ahead are held back. */
  readonly driftMaxMs: number;
  /** The region's folder says that the log had records once: an empty one was lost. */
  readonly hadLog: boolean;
  /** That was another log: what this one has since is not all. */
  readonly isReplaced?: boolean;
}

/**
 * What the parts of the state machine share: the durable state, what is on its way into the log, and what the step has
 * to tell so far.
 *
 * 1. View and clock change with what the log has only; the view's clock is the region's.
 * 2. At most one commit is under way.
 */
export class RegionState {
  readonly region: string;
  readonly random: Random;
  readonly hlc: HybridLogicalClock;
  readonly membership: Membership;
  readonly view: View;
  readonly ended = new EndedEpochs();
  readonly peers: Peers;
  readonly queue = new WorkQueue();
  /** Name of this life of the process. */
  readonly life: string;
  meta: Meta;
  metaSequence: number;
  commit: Commit | undefined;
  /** Of the step under way. */
  now: Now;
  /** The log was lost: no write is taken before the peers have sent what they have. */
  isRecovering: boolean;
  /** Added again after a removal: nothing more is done with this state. */
  isWiped = false;
  /** Its clock may lack what it had acknowledged itself, until every peer has answered. */
  owesResync: boolean;
  /** See {@link UpkeepSources}. */
  mayCloseHoles = false;
  /** Lives of this region's log that each peer had heard of lately when it answered last. */
  readonly heardActors = new Map<string, readonly ActorId[]>();
  outputs: Output[] = [];
  /** Sequences of records that could not be read, by key, until something has taken their place. */
  readonly #unreadable: Map<string, number>;
  readonly #startedAtMs: number;
  #clock: NodeClock;
  #ids = 0;

  constructor(options: RegionStateOptions, log: RecoveredLog, now: Now) {
    const { region, members, random, driftMaxMs, fetchIntervalMs, fetchBytesMax = FETCH_BYTES_MAX } = options;
    this.region = region;
    this.random = random;
    this.now = now;
    this.#startedAtMs = now.monotonicMs;
    this.meta = log.meta;
    this.metaSequence = log.metaSequence;
    this.#unreadable = new Map(log.unreadable);
    this.hlc = new HybridLogicalClock(() => this.now.wallMs, { driftMaxMs, last: log.last });
    this.membership = new Membership(region, members);
    this.view = new View({ isVoid: (dot) => this.membership.isVoid(dot), isOver: (dot) => this.#isOver(dot) });
    for (const { entry } of log.entries) this.#learn(entry);
    this.#clock = NodeClock.starting(region, this.ended.inward(log.vector));
    this.view.clock = this.#clock.vector;
    for (const { entry, sequence } of log.entries) this.view.put(entry, sequence);
    this.life = random.bigint64().toString(16).padStart(16, '0');
    const { generation } = log.meta;
    this.peers = new Peers({ region, random, fetchIntervalMs, fetchBytesMax, generation });
    this.peers.update(this.membership.peers);
    // A log that has seen something, of which every key is gone by now, was not lost, though it may not be trusted.
    const isEmpty = log.entries.length === 0 && log.vector.size === 0 && log.meta.distrustedUntil === 0;
    const isLost = isEmpty || options.isReplaced === true;
    this.isRecovering = options.hadLog && isLost && this.membership.peers.length > 0;
    this.owesResync = this.isRecovering || !log.isComplete;
    if (!log.isComplete) this.#noteDamage();
    this.#undo(log);
  }

  get clock(): NodeClock {
    return this.#clock;
  }

  /** Complete, with ended lives. */
  get vector(): VersionVector {
    return this.#clock.vector;
  }

  /** As it travels. */
  get liveVector(): VersionVector {
    return this.ended.outward(this.vector);
  }

  get isRemoved(): boolean {
    return this.membership.stateOf(this.region) !== 'active';
  }

  /**
   * Deletions that are collected and that the clock covers. What it does not cover it says nothing of: a damaged log names
   * more than anybody has, and who lacks that would get whole ranges for ever.
   */
  get collected(): VersionVector {
    return this.meta.collected.meet(this.vector);
  }

  /** Send time of heads and answers: the last millisecond that is over, for in this one something may yet be acknowledged. */
  get sentAtMs(): number {
    return this.owesResync ? 0 : Math.max(0, Math.floor(this.now.wallMs) - 1);
  }

  /** Nothing is on its way into the log or waits for it. */
  get isIdle(): boolean {
    return this.commit === undefined && this.queue.size === 0;
  }

  get sources(): UpkeepSources {
    const { region, view, clock, membership, ended, mayCloseHoles } = this;
    const own = clock.lineage.actor === undefined ? [] : [clock.lineage.actor];
    // A region that is no peer any more is not asked again: what it had heard is no news.
    const heard = membership.peers.flatMap((peer) => this.heardActors.get(peer) ?? []);
    const living = new Set([...own, ...heard]);
    return { region, view, clock, membership, ended, mayCloseHoles, living };
  }

  moveClock(clock: NodeClock): void {
    this.#clock = clock;
    this.view.clock = clock.vector;
  }

  /** @returns the keys of the commit, whose entries readers see from now on */
  putAll(commit: Commit): string[] {
    const keys: string[] = [];
    for (const { record, sequence } of commit.stored()) {
      this.#unreadable.delete(record.key);
      if (record.meta !== undefined) {
        this.meta = record.meta;
        this.metaSequence = sequence;
      }
      const { entry, clock } = record;
      if (entry === undefined) continue;
      const own =
        record.lineage.actor === undefined ? clock : withDot(clock, record.lineage.actor, record.lineage.counter);
      this.view.put({ ...entry, context: entry.context.merge(own) }, sequence);
      this.#learn(entry);
      keys.push(entry.key);
    }
    this.peers.update(this.membership.peers);
    return keys;
  }

  begin(commit: Commit): void {
    this.commit = commit;
    this.send(commit);
  }

  /** What of it can be sent to the log now. */
  send(commit: Commit): void {
    for (const append of commit.sendable()) this.outputs.push({ kind: 'append', ...append });
  }

  metaRecord(meta: Meta, clock: VersionVector): Unstamped {
    return { key: META_KEY, meta, lineage: this.clock.lineage, clock };
  }

  append(unstamped: Unstamped, cause: Cause | undefined = undefined, write?: number): Append {
    const record = { ...unstamped, last: this.hlc.last };
    const { key } = record;
    const readable = key === META_KEY ? this.metaSequence : this.view.sequenceOf(key);
    const expectedSequence = Math.max(readable, this.#unreadable.get(key) ?? 0);
    const given = { ...(cause && { cause }), ...(write !== undefined && { write }) };
    return { id: this.nextId(), record, expectedSequence, ...given };
  }

  /** Of what the log is asked to do. */
  nextId(): number {
    return ++this.#ids;
  }

  ask(peer: string, request: FetchRequest): void {
    const vector = this.ended.outward(request.vector);
    this.outputs.push({ kind: 'fetch', peer, request: { ...request, vector, isAway: this.isRemoved } });
  }

  outwardEntry(entry: Entry, knows: (dot: Dot) => boolean): Entry {
    return { ...entry, context: this.ended.outwardTo(entry.context, knows) };
  }

  report(event: Event, peer: string): void {
    this.outputs.push({ kind: 'event', event, peer });
  }

  alarm(reason: AlarmReason, peer: string, detail: string): void {
    this.outputs.push({ kind: 'alarm', reason, peer, detail });
  }

  /** Before anything replaces what could not be read: from then on the log looks whole. */
  #noteDamage(): void {
    this.begin(
      new Commit({ kind: 'collect', keys: [], left: [] }, [this.append(this.metaRecord(this.meta, this.vector))]),
    );
  }

  /** A twin lists the life of its original, which goes on: then it is heard. */
  #isOver(dot: Dot): boolean {
    const { monotonicMs } = this.now;
    if (!this.ended.isOver(dot) || monotonicMs - this.#startedAtMs <= HEARD_LATELY_MS) return false;
    const heard = this.peers.actorsHeard(regionOf(dot.actor), monotonicMs);
    return !heard.includes(dot.actor) && !this.sources.living.has(dot.actor);
  }

  /** Records of groups that are not whole: before anything replaces the rest of them, or is said of their keys. */
  #undo({ entries }: RecoveredLog): void {
    const undone = entries.filter(({ isUndone }) => isUndone);
    if (undone.length === 0) return;
    const { lineage, vector: clock } = this.#clock;
    const appends = undone.map(({ entry }) =>
      this.append({ key: entry.key, entry: this.view.stripped(entry, clock), lineage, clock }),
    );
    this.begin(new Commit({ kind: 'collect', keys: [], left: [] }, appends));
  }

  #learn(entry: Entry): void {
    if (this.ended.update(entry)) return;
    this.membership.update(entry);
  }
}

export function withDot(vector: VersionVector, actor: Dot['actor'], counter: number): VersionVector {
  return vector.contains({ actor, counter }) ? vector : vector.merge(VersionVector.of([[actor, counter]]));
}
