import { Failure } from '@meridian/failure';
import type { Clock, Timer } from '@meridian/runtime';
import { type ClaimEvent, decide, type Effect } from './decide.ts';
import { dueEvent, giveBackDelayMs, isTooOld, RENEW_MS } from './due.ts';
import { type ClaimFacts, type ClaimState, pulled, WAITING } from './held-claim.ts';
import { Ledger } from './ledger.ts';
import type { ClaimMessage, ClaimObserver, OwnerLink, Owners, Preparation, ServedModel, Slots } from './ports.ts';
import { RunQueue } from './run-queue.ts';

/**
 * Everything this worker holds, and the one place where decisions become effects.
 *
 * 1. Every held claim is in `#held` from its pull to its end; credit and bytes follow its phase ({@link Ledger}).
 * 2. Bytes asked for or held never exceed `pictureBytesMax`, except that one picture may always be here.
 * 3. Claims whose owner is out of reach are at most STRANDED_MAX, those that wait for records or their model at most
 *    WAITING_MAX; more go back to the broker at once. Neither use credit, bytes or slots. From `unacknowledgedMax` results
 *    without acknowledgement on nothing is pulled.
 */
export interface DeskLimits {
  readonly pictureBytesMax: number;
  readonly ownerUnreachableMs: number;
  readonly unacknowledgedMax: number;
}

/**
 * Claims that wait for an owner out of reach; beyond it they go back to the broker at once. They are a few hundred bytes
 * each, and an owner that comes back finds a window of held ones beside those that it has published meanwhile.
 */
const STRANDED_MAX = 256;
/**
 * Claims that wait for a record that is late, or for a model that is being loaded. All go on in one moment: more of them
 * would then keep the worker from other claims for longer than a new one takes.
 */
const WAITING_MAX = 256;
const TICK_MS = 500;
/** One for all: an abort without a reason makes an exception with a stack each time. */
const ENDED = new Failure('CANCELLED', 'the claim has ended here');

interface Held {
  readonly facts: ClaimFacts;
  readonly laneId: string;
  readonly link: OwnerLink;
  /** While its preparation waits. */
  waiting: AbortController | undefined;
  message: ClaimMessage;
  state: ClaimState;
  model: ServedModel | undefined;
  renewedAtMs: number;
}

/** Credit of the lane that a claim was pulled from. */
export interface Credit {
  /** A claim that did not count for a while counts again. */
  taken(laneId: string): void;
  released(laneId: string): void;
  /** Pulling may be possible again. */
  changed(): void;
}

export interface DeskOptions {
  readonly clock: Clock;
  readonly limits: DeskLimits;
  readonly owners: Owners;
  readonly preparation: Preparation;
  readonly slots: Slots;
  readonly credit: Credit;
  readonly observer: ClaimObserver;
}

export class ClaimDesk {
  readonly #o: DeskOptions;
  readonly #held = new Map<string, Held>();
  readonly #queue = new RunQueue<Held>();
  readonly #ledger = new Ledger();
  #timer: Timer | undefined;
  #draining = false;
  #idle: (() => void) | undefined;

  constructor(options: DeskOptions) {
    this.#o = options;
    options.slots.onFree(() => this.#runNext());
  }

  start(): void {
    this.#timer = this.#o.clock.setTimer(TICK_MS, () => {
      this.#tick();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    for (const held of this.#held.values()) held.waiting?.abort(ENDED);
  }

  /** False when pulling more would only make claims wait here instead of at the broker. */
  get mayPull(): boolean {
    const { waitingForRoom, unacknowledged } = this.#ledger;
    return !this.#draining && waitingForRoom === 0 && unacknowledged < this.#o.limits.unacknowledgedMax;
  }

  /** Claims held that take nobody's place: those whose bytes or records are not here, and those that have a result. */
  get idleClaims(): { readonly onTheWay: number; readonly settled: number } {
    const { onTheWay, waiting, stranded, unacknowledged } = this.#ledger;
    return { onTheWay: onTheWay + waiting + stranded, settled: unacknowledged };
  }

  get size(): number {
    return this.#held.size;
  }

  /** Takes a pulled claim, for which its lane's credit is used: until it has a result, or ends, or is stranded. */
  take(facts: ClaimFacts, message: ClaimMessage, laneId: string): void {
    const known = this.#held.get(facts.key);
    if (known !== undefined) {
      // Delivered again (a renewal was lost): the newer delivery is the one that can be acknowledged.
      known.message = message;
      known.renewedAtMs = this.#o.clock.monotonicMs();
      this.#o.credit.released(laneId);
      return;
    }
    const link = this.#o.owners.linkOf(facts.ownerRegion);
    if (link === undefined) this.#refuse(facts, message, laneId, 'owner-unknown');
    else if (isTooOld(facts, this.#now())) this.#refuse(facts, message, laneId, 'expired');
    else {
      const model = this.#o.preparation.ready(facts);
      const isFull = (!link.ready && this.#isHopeless(link)) || (model === undefined && this.#isWaitFull);
      if (this.#draining || isFull) {
        message.giveBack(this.#draining ? 0 : giveBackDelayMs(message.deliveryCount));
        this.#o.credit.released(laneId);
      } else this.#admit(facts, message, laneId, link, model);
    }
  }

  picture(taskId: string, fence: bigint, picture: Uint8Array): void {
    this.#event(`${taskId}#${fence}`, { kind: 'picture', picture, nowMs: this.#now() });
  }

  refused(taskId: string, fence: bigint, reason: string): void {
    this.#event(`${taskId}#${fence}`, { kind: 'refused', reason });
  }

  acknowledged(taskId: string, fence: bigint): void {
    this.#event(`${taskId}#${fence}`, { kind: 'acknowledged' });
  }

  /** The task is void, whichever of its attempts is held here. */
  cancelled(taskId: string): void {
    for (const held of [...this.#held.values()])
      if (held.facts.taskId === taskId) this.#apply(held, { kind: 'cancelled' });
  }

  ownerLost(link: OwnerLink): void {
    for (const held of [...this.#held.values()]) if (held.link === link) this.#apply(held, { kind: 'owner-lost' });
  }

  ownerBack(link: OwnerLink): void {
    for (const held of [...this.#held.values()]) if (held.link === link) this.#apply(held, { kind: 'owner-back' });
    this.#announceWaiting();
  }

  /** Gives back what has not begun, and resolves when everything that has is acknowledged. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#draining = true;
    for (const held of [...this.#held.values()]) this.#apply(held, { kind: 'drain' });
    if (this.#held.size === 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  #refuse(facts: ClaimFacts, message: ClaimMessage, laneId: string, reason: string): void {
    message.terminate(reason);
    this.#o.credit.released(laneId);
    this.#o.observer.ended(facts, { name: 'done' }, 'terminated', reason);
  }

  #admit(
    facts: ClaimFacts,
    message: ClaimMessage,
    laneId: string,
    link: OwnerLink,
    model: ServedModel | undefined,
  ): void {
    const held: Held = {
      facts,
      laneId,
      link,
      waiting: undefined,
      message,
      state: model === undefined ? WAITING : pulled(!link.ready),
      model,
      renewedAtMs: this.#o.clock.monotonicMs(),
    };
    this.#held.set(facts.key, held);
    if (this.#ledger.move(facts, undefined, held.state) !== 'taken') this.#o.credit.released(laneId);
    this.#o.observer.taken(facts);
    if (facts.deadlineMs !== 0 && this.#now() >= facts.deadlineMs) {
      this.#apply(held, { kind: 'deadline', nowMs: this.#now() });
      return;
    }
    if (model !== undefined) {
      this.#tryAnnounce(held);
      return;
    }
    link.announce(facts, true);
    this.#prepare(held);
  }

  get #isWaitFull(): boolean {
    return this.#ledger.waiting >= WAITING_MAX;
  }

  #isHopeless(link: OwnerLink): boolean {
    return this.#ledger.stranded >= STRANDED_MAX || link.downForMs(this.#now()) > this.#o.limits.ownerUnreachableMs;
  }

  #prepare(held: Held): void {
    held.waiting = new AbortController();
    this.#o.preparation.wait(held.facts, held.waiting.signal).then(
      (model) => {
        held.model = model;
        this.#apply(held, { kind: 'prepared', stranded: !held.link.ready });
        this.#tryAnnounce(held);
      },
      (thrown) => {
        const { code, reason, message, retryable } = Failure.from(thrown);
        const failure = { code, reason, message, retryable };
        this.#apply(held, { kind: 'unpreparable', failure, nowMs: this.#now() });
      },
    );
  }

  #tryAnnounce(held: Held): void {
    const { facts, state, link } = held;
    if (state.phase.name !== 'pulled' || state.phase.stranded || !link.ready) return;
    const { pictureBytes } = this.#ledger;
    if (pictureBytes > 0 && pictureBytes + facts.pictureBytes > this.#o.limits.pictureBytesMax) return;
    this.#apply(held, { kind: 'room', nowMs: this.#now() });
  }

  #announceWaiting(): void {
    if (this.#ledger.waitingForRoom === 0) return;
    for (const priority of ['high', 'normal', 'low'])
      for (const held of this.#held.values()) if (held.facts.priority === priority) this.#tryAnnounce(held);
  }

  #event(key: string, event: ClaimEvent): void {
    const held = this.#held.get(key);
    // Late or repeated words about a claim that has ended here.
    if (held !== undefined) this.#apply(held, event);
  }

  #apply(held: Held, event: ClaimEvent): void {
    const before = held.state;
    const { state, effects } = decide(before, event);
    if (state === before && effects.length === 0) return;
    held.state = state;
    this.#account(held, before, state);
    for (const effect of effects) this.#perform(held, effect, before);
    if (state.phase.name === 'queued' && before.phase.name !== 'queued') {
      this.#queue.add(held);
      this.#runNext();
    }
  }

  #account(held: Held, before: ClaimState, after: ClaimState): void {
    if (before.phase.name === 'queued' && after.phase.name !== 'queued') this.#queue.remove(held);
    const bytesBefore = this.#ledger.pictureBytes;
    const credit = this.#ledger.move(held.facts, before, after);
    if (after.phase.name === 'done') this.#held.delete(held.facts.key);
    if (credit === 'released') this.#o.credit.released(held.laneId);
    else if (credit === 'taken') this.#o.credit.taken(held.laneId);
    if (this.#ledger.pictureBytes < bytesBefore) this.#announceWaiting();
  }

  #perform(held: Held, effect: Effect, before: ClaimState): void {
    const { facts, link, message } = held;
    switch (effect.kind) {
      case 'hold':
        link.announce(facts, true);
        break;
      case 'announce':
        link.announce(facts, false);
        break;
      case 'run':
        this.#run(held, effect.picture);
        break;
      case 'report':
        if (held.state.phase.name !== 'reported') break;
        if (before.phase.name !== 'reported') this.#o.observer.ended(facts, held.state.phase, 'reported');
        link.report(facts, held.state.phase);
        break;
      case 'acknowledge':
        message.acknowledge();
        this.#ended(held, before, 'acknowledged');
        break;
      case 'terminate':
        message.terminate(effect.reason);
        this.#ended(held, before, 'terminated', effect.reason);
        break;
      case 'giveBack':
        if (effect.tellOwner) link.returned(facts, effect.reason);
        message.giveBack(effect.tellOwner ? 0 : giveBackDelayMs(message.deliveryCount));
        this.#ended(held, before, 'given-back', effect.reason);
        break;
    }
  }

  #ended(held: Held, before: ClaimState, end: 'acknowledged' | 'terminated' | 'given-back', reason?: string): void {
    held.waiting?.abort(ENDED);
    this.#o.credit.changed();
    this.#o.observer.ended(held.facts, before.phase, end, reason);
    if (this.#held.size === 0) this.#idle?.();
  }

  #run(held: Held, picture: Uint8Array): void {
    const { model } = held;
    if (model === undefined) return;
    void this.#o.slots.run(model, picture).then((outcome) => {
      this.#apply(held, { kind: 'finished', outcome, nowMs: this.#now() });
    });
  }

  #runNext(): void {
    while (this.#o.slots.free > 0) {
      const held = this.#queue.take();
      if (held === undefined) return;
      const nowMs = this.#now();
      const late = held.facts.deadlineMs !== 0 && nowMs >= held.facts.deadlineMs;
      this.#apply(held, late ? { kind: 'deadline', nowMs } : { kind: 'slot', nowMs });
    }
  }

  #tick(): void {
    const nowMs = this.#now();
    const monotonicMs = this.#o.clock.monotonicMs();
    for (const held of [...this.#held.values()]) {
      if (monotonicMs - held.renewedAtMs >= RENEW_MS) {
        held.message.renew();
        held.renewedAtMs = monotonicMs;
      }
      const downForMs = held.link.downForMs(nowMs);
      const due = dueEvent(held.facts, held.state.phase, downForMs, nowMs, this.#o.limits);
      if (due !== undefined) this.#apply(held, due);
    }
  }

  #now(): number {
    return this.#o.clock.nowMs();
  }
}
