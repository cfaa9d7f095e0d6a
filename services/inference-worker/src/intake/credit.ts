import type { PriorityClassName } from '@meridian/contracts';
import { assert } from '@meridian/failure';
import { Stride } from './stride.ts';

/**
 * How many claims may be asked of the broker, and of which lane. A lane is one priority class of one model: one
 * durable consumer.
 *
 * 1. Every lane may always have one claim, asked for or held: a class that was empty hears of its first claim at once,
 *    however full the worker is with others.
 * 2. What a lane has beyond that one is shared credit; all lanes together never use more than `target` of it, except
 *    that the high lanes together may use {@link HIGH_RESERVE} more: claims of lower classes that are held already
 *    must not keep a burst of high ones out. Held claims are at most target + HIGH_RESERVE + number of lanes.
 * 3. Shared credit goes to classes by stride ({@link CLASS_WEIGHTS}), within a class to the lane served longest ago.
 * 4. At most one pull of a lane is open. A lane that fills its pulls gets larger ones (1, 2, 4 … batchMax): few
 *    requests when busy, little reserved credit when not.
 */
export const CLASS_WEIGHTS: Readonly<Record<PriorityClassName, number>> = { high: 16, normal: 4, low: 1 };

/** A burst of this many high claims is here within a few pulls, whatever else is held. */
export const HIGH_RESERVE = 16;

/** Shared credit is saved up to this many, so that a busy worker sends one pull for several claims. */
const PORTION = 4;

interface Lane {
  readonly id: string;
  readonly priority: PriorityClassName;
  /** Asked of the broker, not delivered yet. */
  open: number;
  /** Delivered, and not yet released. */
  held: number;
  /** Size of the pull that is open, 0 when none. */
  batch: number;
  /** Size that the next pull may have. */
  step: number;
  servedAt: number;
  paused: boolean;
}

export interface PullPlan {
  readonly laneId: string;
  readonly batch: number;
}

export class CreditBook {
  readonly #batchMax: number;
  readonly #lanes = new Map<string, Lane>();
  readonly #stride = new Stride(CLASS_WEIGHTS);
  #target: number;
  #serial = 0;

  constructor(options: { readonly target: number; readonly batchMax: number }) {
    this.#target = options.target;
    this.#batchMax = options.batchMax;
  }

  /** Claims that all lanes together may have beyond one each. */
  setTarget(target: number): void {
    this.#target = target;
  }

  addLane(id: string, priority: PriorityClassName): void {
    assert(!this.#lanes.has(id), `lane ${id} is new`);
    this.#lanes.set(id, { id, priority, open: 0, held: 0, batch: 0, step: 1, servedAt: 0, paused: false });
  }

  /** A paused lane is not asked, e.g. while its consumer cannot be reached. */
  pause(id: string, paused: boolean): void {
    this.#lane(id).paused = paused;
  }

  get held(): number {
    let held = 0;
    for (const lane of this.#lanes.values()) held += lane.held;
    return held;
  }

  /** The pulls to open now; they count as open from here on. Every one must be {@link closed} later. */
  plan(): PullPlan[] {
    const wanting = [...this.#lanes.values()].filter((lane) => lane.batch === 0 && !lane.paused);
    for (const lane of wanting) if (lane.held === 0) lane.open = 1;
    let free = this.#sharedFree(wanting);
    let reserve = HIGH_RESERVE - this.#used((lane) => lane.priority === 'high');
    while (free > 0 || reserve > 0) {
      const mayHave = (key: PriorityClassName): boolean => free > 0 || (key === 'high' && reserve > 0);
      const priority = this.#stride.choose(
        (key) => mayHave(key) && wanting.some((lane) => lane.priority === key && mayGrow(lane)),
      );
      if (priority === undefined) break;
      const lane = wanting.filter((l) => l.priority === priority && mayGrow(l)).sort(byServed)[0];
      assert(lane !== undefined, 'a chosen class has a lane');
      lane.open += 1;
      this.#serial += 1;
      lane.servedAt = this.#serial;
      if (priority === 'high' && reserve > 0) reserve -= 1;
      else free -= 1;
    }
    const plans: PullPlan[] = [];
    for (const lane of wanting) {
      lane.batch = lane.open;
      if (lane.batch > 0) plans.push({ laneId: lane.id, batch: lane.batch });
    }
    return plans;
  }

  delivered(id: string): void {
    const lane = this.#lane(id);
    // A broker may deliver more than was asked only by a fault; the claim is held all the same.
    lane.open = Math.max(0, lane.open - 1);
    lane.held += 1;
  }

  /** The lane's pull has ended: what it did not deliver is free again. */
  closed(id: string): void {
    const lane = this.#lane(id);
    if (lane.open === 0) lane.step = Math.min(this.#batchMax, lane.step * 2);
    else if (lane.open * 2 >= lane.batch) lane.step = Math.max(1, Math.floor(lane.step / 2));
    lane.open = 0;
    lane.batch = 0;
  }

  /** A claim that had been released counts again; shared credit may be exceeded by it until others are released. */
  taken(id: string): void {
    this.#lane(id).held += 1;
  }

  /** A held claim is done with, or no longer counts. */
  released(id: string): void {
    const lane = this.#lane(id);
    assert(lane.held > 0, `lane ${id} holds what it releases`);
    lane.held -= 1;
  }

  /** Shared credit to give out now; less than a portion is saved up, unless the high class waits for it. */
  #sharedFree(wanting: readonly Lane[]): number {
    const high = this.#used((lane) => lane.priority === 'high');
    const others = this.#used((lane) => lane.priority !== 'high');
    const free = this.#target - others - Math.max(0, high - HIGH_RESERVE);
    const urgent = high >= HIGH_RESERVE && wanting.some((lane) => lane.priority === 'high' && mayGrow(lane));
    return urgent || free >= Math.min(PORTION, this.#target) ? free : 0;
  }

  /** Credit beyond one claim each that the lanes have. */
  #used(among: (lane: Lane) => boolean): number {
    let used = 0;
    for (const lane of this.#lanes.values()) if (among(lane)) used += Math.max(0, lane.open + lane.held - 1);
    return used;
  }

  #lane(id: string): Lane {
    const lane = this.#lanes.get(id);
    assert(lane !== undefined, `lane ${id} is known`);
    return lane;
  }
}

function mayGrow(lane: Lane): boolean {
  return lane.open < lane.step;
}

function byServed(a: Lane, b: Lane): number {
  return a.servedAt - b.servedAt;
}

/**
 * Shared credit that keeps the slots busy without hoarding what another worker could run: what the slots hold, and
 * what runs while the next bytes travel (fetch ÷ service, half as much again for jitter), and a small reserve.
 */
export function prefetchTarget(o: {
  readonly slots: number;
  readonly inFlightPerSlot: number;
  /** From announcement to bytes, smoothed. */
  readonly fetchMs: number;
  /** One picture on one slot, smoothed. */
  readonly serviceMs: number;
  readonly max: number;
}): number {
  const travelling = (1.5 * o.slots * o.fetchMs) / Math.max(1, o.serviceMs);
  const target = o.slots * o.inFlightPerSlot + Math.ceil(Math.min(travelling, o.max)) + PORTION;
  return Math.max(1, Math.min(target, o.max));
}
