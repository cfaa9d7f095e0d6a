import type { VersionVector } from '@meridian/causality';
import { assert } from '@meridian/failure';
import { Chores } from './chores.ts';
import { Collector } from './collector.ts';
import { Heartbeat } from './heartbeat.ts';
import { Judgement } from './judgement.ts';
import { LocalWrites } from './local-writes.ts';
import { Merging } from './merging.ts';
import type { Input, Now, Output } from './protocol.ts';
import { Pushes } from './pushes.ts';
import { Questions } from './questions.ts';
import { RegionState, type RegionStateOptions } from './region-state.ts';
import { Rounds } from './rounds.ts';
import type { RecoveredLog } from './state-log.ts';
import type { RegionSyncStatus } from './status.ts';
import type { View } from './view.ts';

export interface StateMachineOptions extends RegionStateOptions {
  /** Between two heads. Shorter notices lost deltas sooner, and costs one message. */
  readonly headIntervalMs: number;
}

/** Who belongs to the state, and who has spoken. */
export type MembershipView = Pick<StateMachine, 'activeRegions' | 'departedRegions' | 'generationOf' | 'unanswered'>;

/**
 * Replication of one region as a deterministic state machine: no time, chance, disk or network of its own.
 *
 * 1. One group of records is on its way into the log at a time; it is decided on durable state only.
 * 2. Readers, peers and callers hear of an event only after the log has it.
 * 3. Everything it needs can be rebuilt from the log; what was under way is lost with the process, and only that.
 * 4. The same inputs at the same times give the same outputs.
 * 5. Vectors inside are complete; what travels leaves out ended lives ({@link EndedEpochs}).
 */
export class StateMachine {
  readonly #state: RegionState;
  readonly #heartbeat: Heartbeat;
  readonly #writes: LocalWrites;
  readonly #merging: Merging;
  readonly #pushes: Pushes;
  readonly #questions: Questions;
  readonly #rounds: Rounds;
  readonly #collector: Collector;
  readonly #chores: Chores;

  constructor(options: StateMachineOptions, log: RecoveredLog, now: Now) {
    const state = new RegionState(options, log, now);
    const judgement = new Judgement(state);
    this.#state = state;
    this.#heartbeat = new Heartbeat(state, options.headIntervalMs);
    this.#writes = new LocalWrites(state);
    this.#merging = new Merging(state);
    this.#pushes = new Pushes(state, judgement, this.#merging);
    this.#questions = new Questions(state, judgement);
    this.#rounds = new Rounds(state, judgement, this.#merging);
    this.#collector = new Collector(state);
    this.#chores = new Chores(state, this.#writes, this.#collector);
  }

  /** Complete, with ended lives. */
  get vector(): VersionVector {
    return this.#state.vector;
  }

  /** As it travels. */
  get liveVector(): VersionVector {
    return this.#state.liveVector;
  }

  /** A vector that came from outside, as it is meant. */
  inward(vector: VersionVector): VersionVector {
    return this.#state.ended.inward(vector);
  }

  outward(vector: VersionVector): VersionVector {
    return this.#state.ended.outward(vector);
  }

  get view(): Pick<View, 'get' | 'at' | 'entries' | 'size'> {
    return this.#state.view;
  }

  /** Deletions that were dropped: who has not seen them has to begin anew. */
  get collected(): VersionVector {
    return this.#state.collected;
  }

  get digest(): string {
    return this.#state.view.digestOfAll;
  }

  get isRecovering(): boolean {
    return this.#state.isRecovering;
  }

  get conflicts(): number {
    return this.#state.view.conflicts;
  }

  /** Members that have not answered a whole fetch since the start. */
  get unanswered(): ReadonlySet<string> {
    return this.#state.peers.unanswered;
  }

  /** Regions that belong to the state now, by name; this one too, unless it was removed. */
  get activeRegions(): readonly string[] {
    return this.#state.membership.active;
  }

  /** Of the membership; 0 for a region that was never added again. */
  generationOf(region: string): number {
    return this.#state.membership.generationOf(region);
  }

  /** Removed regions of which all is here that anybody has; empty unless this region is the one that writes for all. */
  get departedRegions(): readonly string[] {
    const { membership, vector, isRemoved, isRecovering } = this.#state;
    if (!membership.isFirst || isRemoved || isRecovering) return [];
    return membership.removed.filter((region) => {
      const seal = membership.sealOf(region);
      return seal !== undefined && vector.dominates(seal);
    });
  }

  /** Nothing is on its way into the log or waits for it. */
  get isIdle(): boolean {
    return this.#state.isIdle;
  }

  /** How often everything that a region had said was here, in this life of the process; 0 for never. */
  timesCaughtUpWith(region: string): number {
    return this.#state.peers.timesCaughtUpWith(region);
  }

  status(): readonly RegionSyncStatus[] {
    const { region, isRemoved, isRecovering, peers, view, ended, membership, liveVector, now } = this.#state;
    const missing = (seen: VersionVector) => {
      let count = 0;
      for (const { versions } of view.entries()) if (versions.some(({ dot }) => !seen.contains(dot))) count++;
      return count;
    };
    const own: RegionSyncStatus = {
      region,
      state: isRemoved ? 'removed' : isRecovering ? 'recovering' : 'active',
      knownUntilMs: peers.knownUntilMs(now.wallMs),
      rounds: peers.rounds,
      vector: liveVector,
      heardAtMs: now.wallMs,
      pendingEntries: 0,
      lastFetchAtMs: peers.lastFetchAtMs,
      conflicts: view.conflicts,
      digest: view.digest,
    };
    const outward = (vector: VersionVector) => ended.outward(vector);
    const others = membership.others.map((other) => peers.status(other, membership.stateOf(other), missing, outward));
    return [own, ...others];
  }

  /** @param inputs what came in one turn, in order: all of it is known before anything is decided */
  step(inputs: readonly Input[], now: Now): readonly Output[] {
    const state = this.#state;
    state.now = now;
    for (const input of inputs) if (!state.isWiped) this.#take(input);
    while (!state.isWiped && state.commit === undefined && state.queue.size > 0) this.#decide();
    if (!state.isWiped) this.#startWhatIsDue(inputs.some(({ kind }) => kind === 'tick'));
    if (!state.isWiped) this.#writes.pushUnlessMoreFollow();
    const { outputs } = state;
    state.outputs = [];
    return outputs;
  }

  #take(input: Input): void {
    switch (input.kind) {
      case 'write':
        this.#writes.take(input);
        break;
      case 'member':
        this.#writes.takeMember(input);
        break;
      case 'appended':
        this.#takeAppended(input.id, input.sequence);
        break;
      case 'forgotten':
        this.#collector.takeForgotten(input.id);
        break;
      case 'delta':
        this.#pushes.takeDelta(input);
        break;
      case 'head':
        this.#pushes.takeHead(input.origin, input.head);
        break;
      case 'asked':
        this.#questions.take(input.id, input.request);
        break;
      case 'fetched':
        this.#rounds.takePage({ ...input, kind: 'page' });
        break;
      case 'fetch-failed':
        if (input.request.keys.length === 0) this.#rounds.failed(input.peer);
        break;
      case 'want':
        this.#rounds.takeWant(input.peer, input.keys);
        break;
      case 'connected':
        this.#state.peers.hastenAll(this.#state.now.monotonicMs);
        this.#heartbeat.hasten();
        break;
      case 'tick':
        break;
    }
  }

  #takeAppended(id: number, sequence: number): void {
    const state = this.#state;
    const { commit } = state;
    assert(commit !== undefined, 'only what was sent is stored');
    commit.appended(id, sequence);
    state.send(commit);
    if (!commit.isDurable) return;
    const { origin } = commit;
    // A collection has further steps, and ends by itself.
    if (origin.kind !== 'collect') state.commit = undefined;
    if (origin.kind === 'collect') this.#collector.collected(origin, commit);
    else if (origin.kind === 'merge') this.#merging.merged(origin, commit);
    else this.#writes.wrote(origin.written, commit);
  }

  #decide(): void {
    const { queue } = this.#state;
    if (queue.first()?.kind === 'write') {
      this.#writes.decide();
      return;
    }
    this.#writes.push(); // what follows moves the clock by more than own events
    const work = queue.shift();
    if (work?.kind === 'delta') this.#pushes.decideDelta(work);
    if (work?.kind === 'page') this.#rounds.decidePage(work);
  }

  #startWhatIsDue(isTick: boolean): void {
    this.#rounds.startDue();
    if (!isTick) return;
    this.#heartbeat.beatIfDue();
    const { isIdle, isRecovering, isRemoved } = this.#state;
    if (isIdle && !isRecovering && !isRemoved) this.#chores.doDue();
  }
}
