import { type Dot, formatDot, HybridLogicalClock, VersionVector } from '@meridian/causality';
import { assert, Failure } from '@meridian/failure';
import type { Entry, Version } from '@meridian/replica';
import type { Random } from '@meridian/runtime';
import { Commit, type MergeOrigin } from './commit.ts';
import { FETCH_BYTES_MAX, FetchSchedule } from './fetch-schedule.ts';
import { NodeClock } from './node-clock.ts';
import { planMerge } from './plan-merge.ts';
import { planWrites } from './plan-writes.ts';
import type { AlarmReason, Append, Cause, Event, FetchRequest, Input, LogRecord, Now, Output } from './protocol.ts';
import type { RecoveredLog } from './state-log.ts';
import { View } from './view.ts';
import { type DeltaWork, type PageWork, WorkQueue, type WriteWork } from './work-queue.ts';

export interface StateMachineOptions {
  readonly region: string;
  /** All other regions. */
  readonly members: readonly string[];
  readonly random: Random;
  /** Between two complete fetches from a peer. Shorter heals sooner and costs one small request a peer and interval. */
  readonly fetchIntervalMs: number;
  /** Of one page that is asked for. Default {@link FETCH_BYTES_MAX}, which no answer exceeds. */
  readonly fetchBytesMax?: number;
  /** Versions of a peer whose timestamps are further ahead are held back. */
  readonly driftMaxMs: number;
}

/** Entries of a peer to be merged. */
interface Merge {
  readonly peer: string;
  readonly remote: readonly Entry[];
  /** The clock once they are applied; asked only when none had to be held back. */
  readonly after: () => NodeClock | undefined;
  readonly cause: Cause | undefined;
  readonly page?: { readonly nextKey: string; readonly schedule: FetchSchedule };
}

/**
 * Replication of one region as a deterministic state machine: no time, chance, disk or network of its own.
 *
 * 1. One group of records is on its way into the log at a time; it is decided on durable state only.
 * 2. Readers, peers and callers hear of an event only after the log has it.
 * 3. Everything it knows can be rebuilt from the log; what was under way is lost with the process, and only that.
 * 4. The same inputs at the same times give the same outputs.
 */
export class StateMachine {
  readonly #random: Random;
  readonly #view = new View();
  readonly #hlc: HybridLogicalClock;
  readonly #schedules: ReadonlyMap<string, FetchSchedule>;
  readonly #queue = new WorkQueue();
  #clock: NodeClock;
  #commit: Commit | undefined;
  #outputs: Output[] = [];
  #now: Now;
  #appends = 0;

  constructor(options: StateMachineOptions, log: RecoveredLog, now: Now) {
    const { region, members, random, fetchIntervalMs, driftMaxMs, fetchBytesMax = FETCH_BYTES_MAX } = options;
    this.#random = random;
    this.#now = now;
    this.#hlc = new HybridLogicalClock(() => this.#now.wallMs, { driftMaxMs, last: log.lastTimestamp });
    this.#clock = NodeClock.starting(region, members, log.vector, log.lineage);
    for (const { record, sequence } of log.records) this.#view.put(record.entry, sequence);
    const schedule = { region, random, intervalMs: fetchIntervalMs, bytesMax: fetchBytesMax };
    this.#schedules = new Map(members.map((peer) => [peer, new FetchSchedule({ ...schedule, peer })]));
  }

  get vector(): VersionVector {
    return this.#clock.vector;
  }

  get view(): Pick<View, 'get' | 'entries' | 'size'> {
    return this.#view;
  }

  /** Members that have not answered a whole fetch since the start. */
  get unanswered(): ReadonlySet<string> {
    return this.#clock.unanswered;
  }

  /** Nothing is on its way into the log or waits for it. */
  get isIdle(): boolean {
    return this.#commit === undefined && this.#queue.size === 0;
  }

  step(input: Input, now: Now): readonly Output[] {
    this.#now = now;
    this.#take(input);
    while (this.#commit === undefined && this.#queue.size > 0) this.#decide();
    for (const schedule of this.#schedules.values()) {
      const request = schedule.start(now.monotonicMs, this.#clock.vector);
      if (request === undefined) continue;
      this.#report('fetch-started', schedule.peer);
      this.#outputs.push({ kind: 'fetch', peer: schedule.peer, request });
    }
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  #take(input: Input): void {
    if (input.kind === 'write') this.#takeWrite(input);
    else if (input.kind === 'appended') this.#takeAppended(input.id, input.sequence);
    else if (input.kind === 'delta') this.#takeDelta(input);
    else if (input.kind === 'asked') this.#takeQuestion(input.id, input.request);
    else if (input.kind === 'fetched') this.#takePage({ ...input, kind: 'page' });
    else if (input.kind === 'fetch-failed') this.#fetchFailed(input.peer);
    else if (input.kind === 'connected')
      for (const schedule of this.#schedules.values()) schedule.hasten(this.#now.monotonicMs);
    // A tick does nothing but let due fetches start.
  }

  #takeWrite(work: WriteWork): void {
    if (this.#queue.push(work)) return;
    const failure = new Failure('RESOURCE_EXHAUSTED', 'too many writes wait for the state log', {
      reason: 'STATE_LOG_BUSY',
    });
    this.#outputs.push({ kind: 'refused', id: work.id, failure });
  }

  #takeDelta(work: DeltaWork): void {
    if (this.#schedules.has(work.origin) && !this.#queue.push(work)) this.#gap(work.origin);
  }

  #takePage(work: PageWork): void {
    const schedule = this.#schedules.get(work.peer);
    if (schedule === undefined || !schedule.isUnderWay) return;
    if (schedule.accepts(work.answer)) this.#queue.push(work);
    else this.#fetchFailed(work.peer);
  }

  #takeQuestion(id: number, request: FetchRequest): void {
    const schedule = this.#schedules.get(request.region);
    this.#observe(request.vector, request.region);
    // The asker is there, and may have what we lack: no need to wait for our next round.
    const isOfUse = schedule?.isSilent === true || !this.#clock.vector.dominates(request.vector);
    if (isOfUse && schedule?.isUnderWay === false) schedule.hasten(this.#now.monotonicMs);
    const bytesMax = Math.min(request.bytesMax, FETCH_BYTES_MAX);
    const page = this.#view.missingFrom(request.vector, request.afterKey, bytesMax);
    this.#outputs.push({ kind: 'answer', id, answer: { ...page, vector: this.#clock.vector } });
  }

  #fetchFailed(peer: string): void {
    this.#schedules.get(peer)?.failed(this.#now.monotonicMs);
    this.#report('fetch-failed', peer);
  }

  #decide(): void {
    if (this.#queue.first()?.kind === 'write') {
      this.#decideWrites();
      return;
    }
    const work = this.#queue.shift();
    if (work?.kind === 'delta') this.#decideDelta(work);
    if (work?.kind === 'page') this.#decidePage(work);
  }

  #decideWrites(): void {
    const plan = planWrites(this.#queue, {
      view: this.#view,
      clock: this.#clock,
      timestamp: () => this.#hlc.tick(),
      newEpoch: () => this.#random.bigint64(),
    });
    for (const { id, failure } of plan.refused) this.#outputs.push({ kind: 'refused', id, failure });
    for (const { id, by } of plan.unchanged)
      this.#outputs.push({ kind: 'written', id, written: { changed: false, vector: this.#covering(by) } });
    if (plan.writes.length === 0) return;
    const clock = this.#clock.vector;
    const appends = plan.writes.map(({ id, entry, dot, cause }) =>
      this.#append({ entry, lineage: dot, clock }, cause, id),
    );
    this.#begin(new Commit({ kind: 'writes', written: plan.writes }, appends));
  }

  #decideDelta({ origin, delta, cause }: DeltaWork): void {
    for (const entry of delta.entries) this.#observe(entry.context, origin);
    const after = this.#joinable(origin, () => this.#clock.afterDelta(origin, delta));
    if (after === 'gap') this.#gap(origin);
    // A sound clock contains only what was applied: nothing of this delta can be new.
    else if (after === this.#clock) this.#report('delta-known', origin);
    else {
      this.#report('delta-applied', origin);
      this.#merge({ peer: origin, remote: delta.entries, after: () => after, cause });
    }
  }

  #decidePage({ peer, answer, cause }: PageWork): void {
    const schedule = this.#schedules.get(peer);
    assert(schedule !== undefined, 'only members are asked');
    this.#observe(answer.vector, peer);
    const after = () => {
      const vector = answer.nextKey === '' ? schedule.completeVector : undefined;
      return vector && this.#joinable(peer, () => this.#clock.joined(vector));
    };
    this.#merge({ peer, remote: answer.entries, after, cause, page: { nextKey: answer.nextKey, schedule } });
  }

  #merge({ peer, remote, after, cause, page }: Merge): void {
    const { entries, rejected } = planMerge(this.#view, remote, (t) => this.#hlc.receive(t) !== 'far-future');
    for (const { key, reason } of rejected) this.#alarm(reason, peer, key);
    if (rejected.length > 0) page?.schedule.taint();
    const { vector, lineage } = this.#clock;
    const applied = (rejected.length === 0 ? after() : undefined)?.vector ?? vector;
    const origin: MergeOrigin = { kind: 'merge', peer, applied, nextKey: page?.nextKey };
    const carried = entries.length > 0 ? entries : this.#carrier(remote, applied);
    const last = carried.length - 1;
    const appends = carried.map((entry, i) =>
      this.#append({ entry, lineage, clock: i === last ? applied : vector }, cause),
    );
    if (appends.length > 0) this.#begin(new Commit(origin, appends));
    else this.#merged(origin, []);
  }

  /** A clock that moves while no entry is new is written along with an entry that is known already. */
  #carrier(remote: readonly Entry[], applied: VersionVector): readonly Entry[] {
    if (this.#clock.vector.dominates(applied)) return [];
    const [any] = this.#view.entries();
    const known = remote.map(({ key }) => this.#view.get(key)).findLast((entry) => entry !== undefined);
    const carrier = known ?? any;
    return carrier === undefined ? [] : [carrier];
  }

  #begin(commit: Commit): void {
    this.#commit = commit;
    for (const append of commit.sendable()) this.#outputs.push({ kind: 'append', ...append });
  }

  #takeAppended(id: number, sequence: number): void {
    const commit = this.#commit;
    assert(commit !== undefined, 'only what was sent is stored');
    commit.appended(id, sequence);
    for (const append of commit.sendable()) this.#outputs.push({ kind: 'append', ...append });
    if (!commit.isDurable) return;
    this.#commit = undefined;
    const entries: Entry[] = [];
    for (const stored of commit.stored()) {
      this.#view.put(stored.entry, stored.sequence);
      entries.push(stored.entry);
    }
    if (commit.origin.kind === 'merge') this.#merged(commit.origin, entries);
    else this.#wrote(commit.origin.written, entries);
  }

  #wrote(written: readonly { readonly id: number; readonly dot: Dot }[], entries: readonly Entry[]): void {
    const from = this.#clock.vector;
    for (const { dot } of written) this.#clock = this.#clock.wrote(dot);
    const vector = this.#clock.vector;
    this.#outputs.push({ kind: 'publish', delta: { entries, from, to: vector }, writes: written.map(({ id }) => id) });
    this.#outputs.push({ kind: 'changed', keys: entries.map(({ key }) => key) });
    for (const { id } of written) this.#outputs.push({ kind: 'written', id, written: { changed: true, vector } });
  }

  #merged({ peer, applied, nextKey }: MergeOrigin, entries: readonly Entry[]): void {
    const before = this.#clock.vector;
    this.#clock = this.#clock.joined(applied);
    if (entries.length > 0 || this.#clock.vector !== before)
      this.#outputs.push({ kind: 'changed', keys: entries.map(({ key }) => key) });
    if (nextKey === undefined) return;
    const next = this.#schedules.get(peer)?.applied(nextKey, this.#now.monotonicMs);
    if (next instanceof VersionVector) {
      this.#clock = this.#clock.answered(peer, next);
      this.#report('fetch-completed', peer);
    } else if (next !== undefined) this.#outputs.push({ kind: 'fetch', peer, request: next });
  }

  /** A vector that could not travel is not taken over; the entries are merged all the same. */
  #joinable<T>(peer: string, join: () => T): T | undefined {
    try {
      return join();
    } catch (error) {
      const failure = Failure.from(error);
      if (failure.reason !== 'VECTOR_FULL') throw error;
      this.#alarm('VECTOR_FULL', peer, failure.message);
      return undefined;
    }
  }

  /** A vector that covers the version: a batch that is not complete yet may have brought it before the clock does. */
  #covering(version: Version | undefined): VersionVector {
    const { vector } = this.#clock;
    if (version === undefined || vector.contains(version.dot)) return vector;
    return vector.merge(VersionVector.of([[version.dot.actor, version.dot.counter]]));
  }

  #gap(origin: string): void {
    this.#report('gap', origin);
    this.#schedules.get(origin)?.hasten(this.#now.monotonicMs);
  }

  #observe(vector: VersionVector, peer: string): void {
    const before = this.#clock;
    this.#clock = before.observed(vector);
    const { actor, counter } = before.lineage;
    if (actor === undefined || before.isForked || !this.#clock.isForked) return;
    this.#alarm('FORKED', peer, `the log ends at ${formatDot({ actor, counter })}, the peer knows more`);
  }

  #append(record: LogRecord, cause: Cause | undefined, write?: number): Append {
    const expectedSequence = this.#view.sequenceOf(record.entry.key);
    const given = { ...(cause && { cause }), ...(write !== undefined && { write }) };
    return { id: ++this.#appends, record, expectedSequence, ...given };
  }

  #report(event: Event, peer: string): void {
    this.#outputs.push({ kind: 'event', event, peer });
  }

  #alarm(reason: AlarmReason, peer: string, detail: string): void {
    this.#outputs.push({ kind: 'alarm', reason, peer, detail });
  }
}
