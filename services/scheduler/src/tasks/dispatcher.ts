import { TaskSizes } from '@meridian/placement';
import { type ChoiceLimits, choose, type Downscaling } from '../placement/choose.ts';
import { Decision } from '../placement/decision.ts';
import { DecisionLog, type Explanation, explain } from '../placement/decision-log.ts';
import type { RegionView } from '../placement/region-view.ts';
import type { Residency, Ruling } from '../placement/residency.ts';
import { PlacementWindow } from '../placement/window.ts';
import { AnnounceOrder } from './announce-order.ts';
import { decide } from './decide.ts';
import { fenceOf } from './fence.ts';
import { Hedging } from './hedging.ts';
import { type AttemptLimits, lossOf, queueOf } from './lost-attempts.ts';
import { perform } from './perform.ts';
import type { DispatchPorts, StreamRef, WorkerResult } from './ports.ts';
import { type Offer, type ReadyEntry, ReadyQueue } from './ready-queue.ts';
import { type Outcome, openAttempt, type Task, type Work } from './task.ts';
import { TaskTable } from './task-table.ts';
import type { LossReason, TaskInput, TaskLimits } from './transition.ts';

export interface DispatcherOptions {
  readonly term: number;
  readonly regions: ReadonlyMap<string, RegionView>;
  readonly ports: DispatchPorts;
  readonly taskLimits: TaskLimits;
  readonly attemptLimits: AttemptLimits;
  readonly windowPerRegion: number;
  readonly announceGraceMs: number;
  /** An operator has taken the region out of the system. */
  readonly isRemoved: (region: string) => boolean;
  readonly readyRegions: (modelDigest: string) => ReadonlySet<string>;
  /** A task is this owner's from now on. */
  readonly accepted?: (task: Task) => void;
  /** What a large picture would be on a slow link; undefined: it goes as it came. */
  readonly downscaling?: (task: Task) => Downscaling | undefined;
  /** Looked up anew for each choice: a rule may have become narrower since the work was accepted. */
  readonly residency: Pick<Residency, 'placementOf' | 'rulingOf'>;
}

/** Placements of one round; then others get the processor, and the round goes on. */
const ROUND_MAX = 256;
/** Expired tasks of one work ended in one tick: each is a write. */
const EXPIRED_MAX = 256;

/**
 * All open tasks of this owner: feeds what happens to `decide`, and does what it says through the ports. No clock and no
 * I/O of its own: time comes with each call, so that a simulation can run it.
 *
 * 1. A task waits in the ready queue exactly when it is `ready` and its delay has passed.
 * 2. Ports are called in the order of the effects and must not call back synchronously.
 * 3. Placements happen only in `round`; whatever may make one possible calls `ports.wake`.
 * 4. No claim and no picture goes to a region that the residency rules, as they are known at that moment, do not allow; an
 *    attempt in one is given up at the next tick.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #window: PlacementWindow;
  readonly #table: TaskTable;
  readonly #queue = new ReadyQueue();
  readonly #order: AnnounceOrder;
  /** Ready tasks whose delay has not passed, by id. */
  readonly #delayed = new Map<string, number>();
  readonly #decision: Decision;
  readonly #decisions: DecisionLog;
  readonly #hedging = new Hedging();
  readonly #sizes = new TaskSizes();

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#window = new PlacementWindow(options.windowPerRegion);
    this.#table = new TaskTable(this.#window);
    this.#order = new AnnounceOrder(options.announceGraceMs);
    this.#decision = new Decision(options.regions.values());
    this.#decisions = new DecisionLog([...options.regions.keys()]);
  }

  get term(): number {
    return this.#options.term;
  }

  get openTasks(): number {
    return this.#table.size;
  }

  get queue(): Pick<ReadyQueue, 'size'> {
    return this.#queue;
  }

  task(taskId: string): Task | undefined {
    return this.#table.get(taskId);
  }

  /** Tasks of this owner that the region holds. */
  heldBy(region: string): number {
    return this.#window.held(region);
  }

  /** Decisions that are kept at most. */
  get decisionsMax(): number {
    return this.#decisions.capacity;
  }

  /** Why the task is where it is, oldest first, as far as it is kept; for one that waits, why it can go nowhere now. */
  explain(taskId: string, nowMs: number): Explanation[] {
    const made = this.#decisions.of(taskId);
    const task = this.#table.get(taskId);
    if (task?.state.kind !== 'ready') return made;
    choose(task, this.#decision, this.#limits(task, this.#ruling(task)));
    const now = this.#decision.winner < 0 ? explain(task, this.#decision, nowMs) : undefined;
    return now === undefined ? made : [...made, now];
  }

  add(tasks: Iterable<Task>): void {
    for (const task of tasks) {
      this.#table.put(task);
      this.#queue.add(entryOf(task), false);
      this.#options.accepted?.(task);
    }
    this.#options.ports.wake();
  }

  /** @param waits the worker holds it, but wants no bytes yet; it announces it again once it does */
  announced(from: StreamRef, taskId: string, fence: number, nowMs: number, waits = false): void {
    const task = this.#table.get(taskId);
    if (task === undefined) {
      const { ports } = this.#options;
      ports.refuse(from.id, taskId, fence, ports.endedReason(taskId));
      return;
    }
    const attempt = openAttempt(task);
    if (attempt?.fence === fence && !this.#isAllowed(task, attempt.region)) {
      this.#lose(task, 'not-allowed', nowMs);
      this.announced(from, taskId, fence, nowMs, waits);
      return;
    }
    if (attempt?.fence === fence) this.#order.announced(queueOf(task, attempt.region), attempt.placedMs);
    this.#apply(task, { kind: 'announced', fence, stream: from.id, worker: from.worker, waits }, nowMs);
  }

  result(from: StreamRef, result: WorkerResult, nowMs: number): void {
    const { taskId, ...rest } = result;
    const { fence, outcome, times } = rest;
    const view = this.#options.regions.get(from.region);
    const task = this.#table.get(taskId);
    if (task === undefined) {
      this.#options.ports.acknowledge(from.id, taskId, fence);
      this.#options.ports.dropped('late-result');
      return;
    }
    if (outcome.kind === 'recognition') {
      const tookMs = times.decodeMs + times.inferenceMs;
      view?.processed(task.work.modelDigest, tookMs);
      this.#sizes.learn(task.work.modelDigest, task.pictureBytes, tookMs);
    }
    const origin = { stream: from.id, region: from.region, worker: from.worker };
    const attempt = openAttempt(task);
    if (attempt?.number === 1 && task.work.jobId === '' && outcome.kind === 'recognition')
      this.#hedging.ended(attempt.expectedMs ?? 0, nowMs - attempt.placedMs);
    const roundTripMs = view?.roundTripMs ?? 0;
    this.#apply(task, { kind: 'result', ...rest, ...origin, roundTripMs }, nowMs);
  }

  /** The task, if the worker that announced this attempt may still have its picture. */
  wanted(taskId: string, fence: number): Task | undefined {
    const task = this.#table.get(taskId);
    if (task?.state.kind !== 'announced' || task.state.attempt.fence !== fence) return undefined;
    return this.#isAllowed(task, task.state.attempt.region) ? task : undefined;
  }

  /** Whether some region that the rules allow can take such work sooner or later: ready, a member, and not down. */
  hasPlaceFor(work: Work): boolean {
    const { regions, readyRegions, isRemoved, residency } = this.#options;
    const { allowed } = residency.placementOf(work).territory;
    const ready = readyRegions(work.modelDigest);
    for (const [name, view] of regions)
      if (allowed.has(name) && ready.has(name) && view.health !== 'down' && !isRemoved(name)) return true;
    return false;
  }

  returned(from: StreamRef, taskId: string, fence: number, nowMs: number): void {
    this.#input(taskId, { kind: 'returned', fence, stream: from.id }, nowMs);
  }

  claimStored(taskId: string, fence: number, nowMs: number): void {
    this.#input(taskId, { kind: 'claim-stored', fence }, nowMs);
  }

  /** The target's broker did not acknowledge the claim in time, or refused it. */
  claimNotStored(taskId: string, fence: number, nowMs: number): void {
    this.#input(taskId, { kind: 'attempt-lost', fence, end: 'no-ack' }, nowMs);
  }

  /** The ending that `ports.store` was asked for is durable. */
  stored(taskId: string, nowMs: number): void {
    this.#input(taskId, { kind: 'stored' }, nowMs);
  }

  fail(taskId: string, outcome: Outcome, nowMs: number): void {
    this.#input(taskId, { kind: 'fail', outcome }, nowMs);
  }

  cancel(taskId: string, nowMs: number): void {
    this.#input(taskId, { kind: 'cancel' }, nowMs);
  }

  /** Ends all open tasks of the work except those whose result is being stored. */
  cancelWork(key: string, nowMs: number): void {
    for (const task of this.#table.ofWork(key)) this.#apply(task, { kind: 'cancel' }, nowMs);
  }

  streamStarted(from: StreamRef): void {
    const view = this.#options.regions.get(from.region);
    if (view !== undefined) view.streams++;
    this.#options.ports.wake();
  }

  /** The worker is gone: what it held is placed elsewhere at once. */
  streamEnded(from: StreamRef, nowMs: number): void {
    const view = this.#options.regions.get(from.region);
    if (view !== undefined) view.streams--;
    for (const task of this.#table.onStream(from.id)) this.#lose(task, 'worker-lost', nowMs);
  }

  /** Deadlines, delays, health of regions, attempts without a sign of life. Call every 50–100 ms. */
  tick(nowMs: number): void {
    for (const view of this.#options.regions.values()) view.tick(nowMs);
    this.#order.tick(nowMs);
    this.#releaseDelayed(nowMs);
    for (const task of [...this.#table.works()]) if (nowMs >= task.work.deadlineMs) this.#expire(task.work.key, nowMs);
    for (const task of [...this.#table.attempted()]) {
      const region = openAttempt(task)?.region ?? '';
      const { regions, attemptLimits } = this.#options;
      const end = this.#isAllowed(task, region)
        ? lossOf(task, regions.get(region), this.#order, nowMs, attemptLimits)
        : 'not-allowed';
      if (end !== undefined) this.#lose(task, end, nowMs);
      else if (this.#isWorthHedging(task, nowMs)) {
        this.#hedging.spent();
        this.#lose(task, 'hedged', nowMs);
      }
    }
    this.#options.ports.wake();
  }

  /** Places what can be placed. @returns how many were. */
  round(nowMs: number): number {
    const blocked = new Set<string>();
    const offer = (entry: ReadyEntry): Offer => this.#offer(entry, blocked, nowMs);
    for (let placed = 0; placed < ROUND_MAX; placed++) if (!this.#queue.placeNext(offer)) return placed;
    this.#options.ports.wake();
    return ROUND_MAX;
  }

  #offer(entry: ReadyEntry, blocked: Set<string>, nowMs: number): Offer {
    const task = this.#table.get(entry.taskId);
    if (task === undefined || task.state.kind !== 'ready') return 'gone';
    const key = task.state.after === undefined ? task.work.placementKey : `${task.work.placementKey} again`;
    if (blocked.has(key)) return 'blocked';
    const { regions, term } = this.#options;
    const ruling = this.#ruling(task);
    const choice = choose(task, this.#decision, this.#limits(task, ruling));
    if (choice === undefined) {
      blocked.add(key);
      return 'blocked';
    }
    const attempt = task.placements + 1;
    const fence = fenceOf(term, attempt);
    this.#decisions.add(task, this.#decision, { attempt, fence }, nowMs);
    regions.get(choice.region)?.placed(nowMs);
    this.#sizes.placed(task.work.modelDigest, task.pictureBytes);
    if (attempt === 1 && task.work.jobId === '') this.#hedging.placed();
    const { region, expectedMs } = choice;
    this.#apply(task, { kind: 'place', region, fence, expectedMs, requires: ruling.requires }, nowMs);
    return 'placed';
  }

  /** Only calls, once, and only where a place is free: under load a second attempt would make others late. */
  #isWorthHedging(task: Task, nowMs: number): boolean {
    const attempt = openAttempt(task);
    if (attempt?.number !== 1 || task.work.jobId !== '' || attempt.expectedMs === undefined) return false;
    if (!this.#hedging.isDue(attempt.expectedMs, nowMs - attempt.placedMs) || this.#queue.total > 0) return false;
    const again: Task = { ...task, state: { kind: 'ready', after: 'hedged', excludedRegion: attempt.region } };
    const choice = choose(again, this.#decision, this.#limits(task, this.#ruling(task)));
    return choice !== undefined && choice.region !== attempt.region && choice.isUncontended;
  }

  #limits(task: Task, { territory }: Ruling): ChoiceLimits {
    const { readyRegions, isRemoved, downscaling } = this.#options;
    const { work, pictureBytes } = task;
    const size = this.#sizes.of(work.modelDigest, pictureBytes);
    return {
      readyRegions: readyRegions(work.modelDigest),
      ...{ isRemoved, window: this.#window, territory, size },
      downscaling: downscaling?.(task),
    };
  }

  #ruling({ work }: Task): Ruling {
    return this.#options.residency.placementOf(work);
  }

  #isAllowed({ work }: Task, region: string): boolean {
    return this.#options.residency.rulingOf(work.tenant, work.asked).territory.allowed.has(region);
  }

  #releaseDelayed(nowMs: number): void {
    for (const [taskId, dueMs] of this.#delayed) {
      if (dueMs > nowMs) continue;
      this.#delayed.delete(taskId);
      const task = this.#table.get(taskId);
      if (task?.state.kind === 'ready') this.#queue.add(entryOf(task), true);
    }
  }

  #expire(key: string, nowMs: number): void {
    const open = this.#table.ofWork(key).filter((task) => task.state.kind !== 'storing');
    for (const task of open.slice(0, EXPIRED_MAX)) this.#apply(task, { kind: 'expire' }, nowMs);
  }

  #lose(task: Task, end: LossReason, nowMs: number): void {
    const attempt = openAttempt(task);
    if (attempt !== undefined) this.#apply(task, { kind: 'attempt-lost', fence: attempt.fence, end }, nowMs);
  }

  #input(taskId: string, input: TaskInput, nowMs: number): void {
    const task = this.#table.get(taskId);
    if (task !== undefined) this.#apply(task, input, nowMs);
  }

  #apply(task: Task, input: TaskInput, nowMs: number): void {
    const decision = decide(task, input, nowMs, this.#options.taskLimits);
    if (decision.task !== task) this.#table.put(decision.task);
    for (const effect of decision.effects) {
      if (effect.kind === 'attempt-ended') this.#options.regions.get(effect.attempt.region)?.ended(nowMs);
      if (effect.kind === 'enqueue') this.#enqueue(decision.task, effect.delayMs, nowMs);
      else perform(this.#options.ports, decision.task, effect);
    }
  }

  #enqueue(task: Task, delayMs: number, nowMs: number): void {
    if (delayMs > 0) this.#delayed.set(task.taskId, nowMs + delayMs);
    else this.#queue.add(entryOf(task), true);
    this.#options.ports.wake();
  }
}

function entryOf(task: Task): ReadyEntry {
  const { jobId, tenant, priority } = task.work;
  return { taskId: task.taskId, jobKey: jobId, tenant, priority };
}
