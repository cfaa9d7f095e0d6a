import { VersionVector } from '@meridian/causality';
import { assert, Failure } from '@meridian/failure';
import type { Entry } from '@meridian/replica';
import type { Clock, Component, Logger, Random, Timer } from '@meridian/runtime';
import type {
  Append,
  Cause,
  Change,
  Delta,
  FetchAnswer,
  FetchRequest,
  Head,
  Input,
  Now,
  Output,
  Written,
} from '../replication/protocol.ts';
import { recoverLog } from '../replication/state-log.ts';
import { type MembershipView, StateMachine } from '../replication/state-machine.ts';
import type { RegionSyncStatus } from '../replication/status.ts';
import { Alarms } from './alarms.ts';
import { LogKeeper } from './log-keeper.ts';
import { LogWriter } from './log-writer.ts';
import type { SyncMetrics } from './metrics.ts';
import { PendingWrites } from './pending-writes.ts';
import type { LogMarker, Peers, StateLog } from './ports.ts';
import type { Update } from './watch.ts';
import { outward, Watches } from './watches.ts';

export interface ReplicatorOptions {
  readonly region: string;
  readonly members: readonly string[];
  readonly log: StateLog;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: SyncMetrics;
  readonly fetchIntervalMs: number;
  readonly driftMaxMs: number;
  readonly headIntervalMs: number;
  /** Beside the log: which one had all records. */
  readonly marker: LogMarker;
  /** The state log is not ours any more: the process must end. */
  readonly onFatal: (failure: Failure) => void;
}

/** Records that go into the log with one receipt. */
const RUN_RECORDS_MAX = 256;
/** Due fetches are looked for this often. */
const TICK_MS = 100;

/**
 * Drives the state machine: log, peers, callers and watches on one side, inputs and outputs on the other.
 *
 * 1. Nothing is asked of the machine before the log has been read.
 * 2. A record is sent to the log until it is known to be stored; only another writer ends that, and the process with it.
 * 3. What one machine asked for is not told to the one after it: the region may have begun anew meanwhile.
 * 4. A caller that gave up may still have written: it is told that the outcome is unknown.
 */
export class Replicator implements Component {
  readonly name = 'replicator';
  readonly #options: ReplicatorOptions;
  readonly #stopped = new AbortController();
  readonly #writes: PendingWrites;
  readonly #answers = new Map<number, FetchAnswer>();
  readonly #listeners = new Set<(keys: readonly string[]) => void>();
  #machine: StateMachine | undefined;
  #watches: Watches | undefined;
  /** Of this machine: its records must not be taken for those of the one before, whose numbers began at 1, too. */
  #writer: LogWriter;
  readonly #alarms: Alarms;
  readonly #keeper: LogKeeper;
  #ids = 0;
  #tick: Timer | undefined;
  /** Local writes of this turn of the event loop: they go into the log together. */
  #turn: Input[] = [];

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#writes = new PendingWrites(options.clock);
    this.#writer = new LogWriter(options);
    this.#alarms = new Alarms(options);
    this.#keeper = new LogKeeper(options, this.#stopped.signal);
  }

  /** Reads the log. @throws Failure UNAVAILABLE when it cannot be read. */
  async start(): Promise<void> {
    await this.#boot();
    this.#options.metrics.observe(() => ({
      entries: this.#running.view.size,
      vector: this.vector,
      conflicts: this.conflicts,
    }));
  }

  async #boot(isBegunAnew = false): Promise<void> {
    const { region, members, random, fetchIntervalMs, headIntervalMs, driftMaxMs, logger, metrics } = this.#options;
    const { hadLog, isReplaced, ...content } = await this.#keeper.recover();
    const { records, unreadable, isComplete } = content;
    if (isReplaced && !isBegunAnew) {
      metrics.alarm('LOG_LOST', region);
      logger.error({ records: records.length }, 'the store of the state log was lost; getting all back from the peers');
    }
    const log = recoverLog(content);
    if (!isComplete) {
      metrics.alarm('LOG_DAMAGED', region);
      logger.error(
        { records: records.length, unreadable: unreadable.size },
        'some records of the state log cannot be read; asking the peers for all',
      );
    }
    const intervals = { fetchIntervalMs, headIntervalMs };
    const machine = new StateMachine(
      { region, members, random, ...intervals, driftMaxMs, hadLog, isReplaced },
      log,
      this.#now(),
    );
    this.#machine = machine;
    this.#writer = new LogWriter(this.#options);
    this.#watches?.end(beginsAnew());
    this.#watches = new Watches(machine);
    if (!machine.isRecovering) await this.#keeper.mark();
    const { isRecovering, liveVector } = machine;
    logger.info({ entries: records.length, vector: liveVector.toString(), isRecovering }, 'state rebuilt from the log');
  }

  /** Asks every peer now: at the start, once their questions can be answered here, and when links may be back. */
  connect(): void {
    void this.#keeper.verify();
    this.#step({ kind: 'connected' });
    if (this.#tick === undefined) this.#scheduleTick();
  }

  /** Waits until every peer has answered, but not longer. */
  async introduced(timeoutMs: number): Promise<void> {
    const { clock, logger } = this.#options;
    const untilMs = clock.monotonicMs() + timeoutMs;
    while (this.#running.unanswered.size > 0 && clock.monotonicMs() < untilMs && !this.#stopped.signal.aborted)
      await clock.sleep(TICK_MS / 4, this.#stopped.signal).catch(() => undefined);
    const unanswered = [...this.#running.unanswered];
    if (unanswered.length > 0) logger.warn({ unanswered }, 'starting without an answer from every region');
  }

  async drain(signal: AbortSignal): Promise<void> {
    while ((this.#turn.length > 0 || this.#machine?.isIdle === false) && !signal.aborted)
      await this.#options.clock.sleep(TICK_MS / 4, signal).catch(() => undefined);
  }

  stop(): Promise<void> {
    const failure = new Failure('UNAVAILABLE', 'the sync service is stopping', { reason: 'STOPPING' });
    this.#stopped.abort(failure);
    this.#tick?.cancel();
    this.#writes.refuseAll(failure);
    return this.#keeper.idle();
  }

  /** As it travels. Empty until the log has been read. */
  get vector(): VersionVector {
    return this.#machine?.liveVector ?? VersionVector.EMPTY;
  }

  /** With the ended lives that {@link vector} leaves out. */
  get completeVector(): VersionVector {
    return this.#machine?.vector ?? VersionVector.EMPTY;
  }

  /**
   * Whether the region has seen all that a vector from outside means.
   * @param key what it is about: a version of it may be here before the region's clock covers it
   */
  hasSeen(vector: VersionVector, key?: string): boolean {
    const machine = this.#running;
    const seen = key === undefined ? machine.vector : machine.view.at(key).context;
    return seen.dominates(machine.inward(vector));
  }

  /** Undefined until the log has been read. */
  get membership(): MembershipView | undefined {
    return this.#machine;
  }

  /** How often everything that a region had said was here, in this life of the process: grows while both hear each other. */
  timesCaughtUpWith(region: string): number {
    return this.#running.timesCaughtUpWith(region);
  }

  /** Keys with concurrent versions that differ. */
  get conflicts(): number {
    return this.#machine?.conflicts ?? 0;
  }

  /** Own region first. */
  status(): readonly RegionSyncStatus[] {
    return this.#running.status();
  }

  /** Asks a region at once: for these keys, or without keys for all that is missing. */
  want(region: string, keys: readonly string[]): void {
    this.#step({ kind: 'want', peer: region, keys });
  }

  get(key: string): Entry | undefined {
    const entry = this.#running.view.get(key);
    return entry && outward(entry, this.#running);
  }

  /** By key. */
  *entries(prefix = ''): Iterable<Entry> {
    for (const entry of this.#running.view.entries(prefix)) yield outward(entry, this.#running);
  }

  /**
   * Called after each change that readers can see, with the keys that changed: none when only the vector did, or all.
   * @returns a function that removes the listener
   */
  onChange(listener: (keys: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Resolves when the value is durable here.
   * @throws Failure of the plan (ENTRY_TOO_LARGE, STATE_FULL, VECTOR_FULL), RESOURCE_EXHAUSTED / STATE_LOG_BUSY, or
   *   UNAVAILABLE / WRITE_UNKNOWN when the log did not answer in time: the value may be written all the same.
   */
  write(change: Change, options: { readonly timeoutMs: number; readonly cause?: Cause | undefined }): Promise<Written> {
    const cause = options.cause === undefined ? {} : { cause: options.cause };
    return this.#writes.outcome(change.key, options.timeoutMs, (id) =>
      this.#inTurn({ kind: 'write', id, change, ...cause }),
    );
  }

  /**
   * Takes a region out of the membership, or into it (again).
   * @throws Failure NOT_FOUND / REGION_UNKNOWN, FAILED_PRECONDITION / OWN_REGION or NOT_SEALED_YET, and as {@link write}.
   */
  changeMember(
    region: string,
    action: 'add' | 'remove',
    options: { readonly timeoutMs: number; readonly author?: string; readonly cause?: Cause | undefined },
  ): Promise<Written> {
    const { author, cause } = options;
    const given = { ...(author !== undefined && { author }), ...(cause && { cause }) };
    return this.#writes.outcome(`member/${region}`, options.timeoutMs, (id) =>
      this.#step({ kind: 'member', id, region, action, ...given }),
    );
  }

  /** What a peer asks for. @throws Failure UNAVAILABLE / RECOVERING while the region begins anew. */
  answer(request: FetchRequest): FetchAnswer {
    const id = ++this.#ids;
    this.#step({ kind: 'asked', id, request });
    const answer = this.#answers.get(id);
    if (answer === undefined) throw beginsAnew();
    this.#answers.delete(id);
    return answer;
  }

  receive(origin: string, delta: Delta, cause: Cause): void {
    this.#step({ kind: 'delta', origin, delta, cause });
  }

  receiveHead(origin: string, head: Head): void {
    this.#step({ kind: 'head', origin, head });
  }

  /**
   * Everything that `seen` does not cover, then what changes. Ends when the region begins anew.
   * @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_WATCHES. Retryable.
   */
  watch(seen: VersionVector, signal: AbortSignal): AsyncGenerator<Update, void, undefined> {
    return this.#updates(seen, false, signal);
  }

  /**
   * As {@link watch}, for who has all of `seen` from this region: if the region has not all of it (it was added again, or
   * its log was lost or went back), the whole state is sent once it is here, in place of what the reader has.
   */
  follow(seen: VersionVector, signal: AbortSignal): AsyncGenerator<Update, void, undefined> {
    return this.#updates(seen, true, signal);
  }

  #updates(seen: VersionVector, isFollower: boolean, signal: AbortSignal): AsyncGenerator<Update, void, undefined> {
    assert(this.#watches !== undefined, 'the log has been read');
    return this.#watches.updates(seen, isFollower, AbortSignal.any([signal, this.#stopped.signal]));
  }

  get #running(): StateMachine {
    assert(this.#machine !== undefined, 'the log has been read');
    return this.#machine;
  }

  #scheduleTick(): void {
    if (this.#stopped.signal.aborted) return;
    this.#tick = this.#options.clock.setTimer(TICK_MS, () => {
      this.#step({ kind: 'tick' });
      this.#scheduleTick();
    });
  }

  #inTurn(input: Input): void {
    this.#turn.push(input);
    if (this.#turn.length === 1) setImmediate(() => this.#endTurn());
  }

  #endTurn(): void {
    const inputs = this.#turn;
    this.#turn = [];
    this.#step(...inputs);
  }

  #step(...inputs: readonly Input[]): void {
    if (this.#stopped.signal.aborted) return;
    const machine = this.#running;
    const { isRecovering } = machine;
    const appends: Append[] = [];
    for (const output of machine.step(inputs, this.#now()))
      if (output.kind === 'append') appends.push(output);
      else this.#do(output);
    for (let at = 0; at < appends.length; at += RUN_RECORDS_MAX)
      void this.#append(appends.slice(at, at + RUN_RECORDS_MAX));
    if (!this.#keeper.isMarked && !machine.isRecovering) void this.#keeper.mark();
    if (isRecovering && !machine.isRecovering) this.#tell([]);
  }

  #do(output: Exclude<Output, { kind: 'append' }>): void {
    const { peers, metrics } = this.#options;
    if (output.kind === 'forget') void this.#forget(output.id, output.key, output.sequence);
    else if (output.kind === 'fetch') void this.#fetch(output.peer, output.request);
    else if (output.kind === 'head') peers.publishHead(output.head);
    else if (output.kind === 'wipe') void this.#rejoin(output.generation);
    else if (output.kind === 'publish') peers.publish(output.delta, this.#writes.causesOf(output.writes));
    else if (output.kind === 'answer') this.#answers.set(output.id, output.answer);
    else if (output.kind === 'written') this.#writes.written(output.id, output.written);
    else if (output.kind === 'refused') this.#writes.refused(output.id, output.failure);
    else if (output.kind === 'changed') this.#tell(output.keys);
    else if (output.kind === 'event') metrics.event(output.event, output.peer);
    else this.#alarms.raise(output.reason, output.peer, output.detail);
  }

  #tell(keys: readonly string[]): void {
    this.#watches?.notify(keys);
    for (const listener of this.#listeners) listener(keys);
  }

  async #append(appends: readonly Append[]): Promise<void> {
    const machine = this.#machine;
    const stored = await this.#writer.allStored(appends, this.#stopped.signal);
    const inputs: Input[] = [];
    for (const [i, { id, write }] of appends.entries()) {
      const appended = stored[i];
      if (appended === undefined) continue;
      if (write !== undefined) this.#writes.stored(write, appended.event);
      inputs.push({ kind: 'appended', id, sequence: appended.sequence });
    }
    if (inputs.length === 0 || machine !== this.#machine) return;
    this.#step(...inputs);
  }

  async #fetch(peer: string, request: FetchRequest): Promise<void> {
    const machine = this.#machine;
    const tell = (input: Input) => {
      if (machine === this.#machine) this.#step(input);
    };
    try {
      const { answer, cause, intervalMs } = await this.#options.peers.fetch(peer, request);
      tell({ kind: 'fetched', peer, request, answer, cause, intervalMs });
    } catch (error) {
      this.#options.logger.debug({ err: error, peer }, 'a peer could not be asked');
      tell({ kind: 'fetch-failed', peer, request });
    }
  }

  async #forget(id: number, key: string, sequence: number): Promise<void> {
    const machine = this.#machine;
    if ((await this.#keeper.forget(key, sequence)) && machine === this.#machine) this.#step({ kind: 'forgotten', id });
  }

  /** Added again: nothing of before is left, and no write is taken before the others have sent what they have. */
  async #rejoin(generation: number): Promise<void> {
    this.#options.logger.warn({ generation }, 'this region was removed and added again: it begins anew');
    this.#writes.refuseAll(beginsAnew());
    this.#turn = [];
    if (!(await this.#keeper.beginAnew(generation, () => this.#boot(true)))) return;
    this.#tell([]);
    this.connect();
  }

  #now(): Now {
    const { clock } = this.#options;
    return { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  }
}

function beginsAnew(): Failure {
  return new Failure('UNAVAILABLE', 'the region begins anew: try again', { reason: 'RECOVERING' });
}
