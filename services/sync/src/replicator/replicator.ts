import { VersionVector } from '@meridian/causality';
import { assert, Failure } from '@meridian/failure';
import type { Entry } from '@meridian/replica';
import { backoffMs, type Clock, type Component, type Logger, type Random, type Timer } from '@meridian/runtime';
import type {
  Append,
  Cause,
  Change,
  Delta,
  FetchAnswer,
  FetchRequest,
  Input,
  Now,
  Output,
  Written,
} from '../replication/protocol.ts';
import { recoverLog } from '../replication/state-log.ts';
import { StateMachine } from '../replication/state-machine.ts';
import { LogWriter } from './log-writer.ts';
import type { SyncMetrics } from './metrics.ts';
import type { Peers, StateLog } from './ports.ts';
import { type Update, Watch } from './watch.ts';

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
  /** The state log is not ours any more: the process must end. */
  readonly onFatal: (failure: Failure) => void;
}

/** Due fetches are looked for this often. */
const TICK_MS = 100;
const RETRY = { initialMs: 20, maxMs: 1_000 };
const RECOVER_ATTEMPTS_MAX = 20;
/** Streams to the services of one region. */
export const WATCHES_MAX = 256;

/**
 * Drives the state machine: log, peers, callers and watches on one side, inputs and outputs on the other.
 *
 * 1. Nothing is asked of the machine before the log has been read.
 * 2. A record is sent to the log until it is known to be stored; only another writer ends that, and the process with it.
 * 3. A caller that gave up may still have written: it is told that the outcome is unknown.
 */
export class Replicator implements Component {
  readonly name = 'replicator';
  readonly #options: ReplicatorOptions;
  readonly #stopped = new AbortController();
  readonly #writes = new Map<number, PromiseWithResolvers<Written>>();
  /** Events of stored writes, until their delta names them as its causes. */
  readonly #events = new Map<number, Cause>();
  readonly #answers = new Map<number, FetchAnswer>();
  readonly #watches = new Set<Watch>();
  readonly #listeners = new Set<() => void>();
  #machine: StateMachine | undefined;
  readonly #writer: LogWriter;
  #ids = 0;
  #tick: Timer | undefined;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#writer = new LogWriter(options);
  }

  /** Reads the log. @throws Failure UNAVAILABLE when it cannot be read. */
  async start(): Promise<void> {
    const { region, members, random, fetchIntervalMs, driftMaxMs, logger, metrics } = this.#options;
    const { records, isComplete } = await this.#recover();
    const log = recoverLog(records, isComplete);
    if (!isComplete) {
      metrics.alarm('LOG_DAMAGED', region);
      logger.error(
        { records: records.length },
        'some records of the state log cannot be read; asking the peers for all',
      );
    }
    this.#machine = new StateMachine({ region, members, random, fetchIntervalMs, driftMaxMs }, log, this.#now());
    metrics.observe(() => ({ entries: this.entries(), vector: this.vector }));
    logger.info({ entries: records.length, vector: log.vector.toString() }, 'state rebuilt from the log');
  }

  /** Asks every peer now: at the start, once their questions can be answered here, and when links may be back. */
  connect(): void {
    this.#step({ kind: 'connected' });
    if (this.#tick === undefined) this.#scheduleTick();
  }

  /** Asks for what is missing now, not when the next round is due. */
  hasten(_region: string): void {
    this.#step({ kind: 'connected' });
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
    while (this.#machine?.isIdle === false && !signal.aborted)
      await this.#options.clock.sleep(TICK_MS / 4, signal).catch(() => undefined);
  }

  stop(): Promise<void> {
    const failure = new Failure('UNAVAILABLE', 'the sync service is stopping', { reason: 'STOPPING' });
    this.#stopped.abort(failure);
    this.#tick?.cancel();
    for (const write of this.#writes.values()) write.reject(failure);
    this.#writes.clear();
    return Promise.resolve();
  }

  /** Empty until the log has been read. */
  get vector(): VersionVector {
    return this.#machine?.vector ?? VersionVector.EMPTY;
  }

  get(key: string): Entry | undefined {
    return this.#running.view.get(key);
  }

  entries(): Iterable<Entry> {
    return this.#running.view.entries();
  }

  /** Called after each change that readers can see. @returns a function that removes the listener. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Resolves when the value is durable here.
   * @throws Failure of the plan (ENTRY_TOO_LARGE, STATE_FULL, VECTOR_FULL), RESOURCE_EXHAUSTED / STATE_LOG_BUSY, or
   *   UNAVAILABLE / WRITE_UNKNOWN when the log did not answer in time: the value may be written all the same.
   */
  async write(
    change: Change,
    options: { readonly timeoutMs: number; readonly cause?: Cause | undefined },
  ): Promise<Written> {
    const id = ++this.#ids;
    const outcome = Promise.withResolvers<Written>();
    const timer = this.#options.clock.setTimer(options.timeoutMs, () => outcome.reject(unknownOutcome(change.key)));
    this.#writes.set(id, outcome);
    try {
      this.#step({ kind: 'write', id, change, ...(options.cause && { cause: options.cause }) });
      return await outcome.promise;
    } finally {
      timer.cancel();
      this.#writes.delete(id);
    }
  }

  /** What a peer asks for. */
  answer(request: FetchRequest): FetchAnswer {
    const id = ++this.#ids;
    this.#step({ kind: 'asked', id, request });
    const answer = this.#answers.get(id);
    assert(answer !== undefined, 'a question is answered at once');
    this.#answers.delete(id);
    return answer;
  }

  receive(origin: string, delta: Delta, cause: Cause): void {
    this.#step({ kind: 'delta', origin, delta, cause });
  }

  /**
   * Everything that `seen` does not cover, then what changes.
   * @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_WATCHES. Retryable.
   */
  async *watch(seen: VersionVector, signal: AbortSignal): AsyncGenerator<Update, void, undefined> {
    if (this.#watches.size >= WATCHES_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', `${WATCHES_MAX} watches are open`, { reason: 'TOO_MANY_WATCHES' });
    const watch = new Watch(this.#running, seen);
    this.#watches.add(watch);
    try {
      yield* watch.updates(AbortSignal.any([signal, this.#stopped.signal]));
    } finally {
      this.#watches.delete(watch);
    }
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

  async #recover(): ReturnType<StateLog['recover']> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#options.log.recover();
      } catch (error) {
        const failure = Failure.from(error);
        if (!failure.retryable || attempt >= RECOVER_ATTEMPTS_MAX) throw failure;
        this.#options.logger.warn({ err: error, attempt }, 'the state log could not be read; trying again');
        await this.#pause(attempt);
      }
    }
  }

  #step(input: Input): void {
    if (this.#stopped.signal.aborted) return;
    for (const output of this.#running.step(input, this.#now())) this.#do(output);
  }

  #do(output: Output): void {
    const { peers, metrics, logger } = this.#options;
    if (output.kind === 'append') void this.#append(output);
    else if (output.kind === 'fetch') void this.#fetch(output.peer, output.request);
    else if (output.kind === 'publish') peers.publish(output.delta, this.#causes(output.writes));
    else if (output.kind === 'answer') this.#answers.set(output.id, output.answer);
    else if (output.kind === 'written') this.#writes.get(output.id)?.resolve(output.written);
    else if (output.kind === 'refused') this.#writes.get(output.id)?.reject(output.failure);
    else if (output.kind === 'changed') this.#tell(output.keys);
    else if (output.kind === 'event') metrics.event(output.event, output.peer);
    else {
      metrics.alarm(output.reason, output.peer);
      logger.error({ reason: output.reason, peer: output.peer, detail: output.detail }, 'replication alarm');
    }
  }

  #tell(keys: readonly string[]): void {
    for (const watch of this.#watches) watch.notify(keys);
    for (const listener of this.#listeners) listener();
  }

  async #append(append: Append): Promise<void> {
    const appended = await this.#writer.untilStored(append, this.#stopped.signal);
    if (appended === undefined) return;
    if (append.write !== undefined) this.#events.set(append.write, appended.event);
    this.#step({ kind: 'appended', id: append.id, sequence: appended.sequence });
  }

  async #fetch(peer: string, request: FetchRequest): Promise<void> {
    try {
      const { answer, cause } = await this.#options.peers.fetch(peer, request);
      this.#step({ kind: 'fetched', peer, answer, cause });
    } catch (error) {
      this.#options.logger.debug({ err: error, peer }, 'a peer could not be asked');
      this.#step({ kind: 'fetch-failed', peer });
    }
  }

  #causes(writes: readonly number[]): readonly Cause[] {
    const causes = writes.map((write) => this.#events.get(write)).filter((cause) => cause !== undefined);
    for (const write of writes) this.#events.delete(write);
    return causes;
  }

  #pause(attempt: number): Promise<void> {
    const { clock, random } = this.#options;
    return clock.sleep(backoffMs(attempt, RETRY, random), this.#stopped.signal).catch(() => undefined);
  }

  #now(): Now {
    const { clock } = this.#options;
    return { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  }
}

function unknownOutcome(key: string): Failure {
  return new Failure('UNAVAILABLE', `the state log did not confirm ${key} in time; it may be written all the same`, {
    reason: 'WRITE_UNKNOWN',
  });
}
