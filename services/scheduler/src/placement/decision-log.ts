import { expectedWaitMs, WAIT_WEIGHT } from '@meridian/placement';
import type { Territory } from '@meridian/residency';
import type { Task } from '../tasks/task.ts';
import { type Decision, EXCLUSIONS, type Exclusion } from './decision.ts';

/** One region in a decision; all times in milliseconds. */
export interface Candidate {
  readonly region: string;
  /** Empty: it could be taken. */
  readonly exclusion: Exclusion;
  /** Of all round trips of the task. */
  readonly roundTripMs: number;
  readonly transferMs: number;
  readonly serviceMs: number;
  readonly priceMs: number;
  /** Before the weight. */
  readonly waitMs: number;
  readonly totalMs: number;
  readonly outstanding: number;
  readonly unseen: number;
  readonly slots: number;
  /** Whose residency rule does not allow the region; empty where it is allowed. */
  readonly notAllowed: string;
}

export interface Explanation {
  /** 0: not placed. */
  readonly attempt: number;
  readonly fence: number;
  readonly decidedMs: number;
  /** Undefined when no region could take it. */
  readonly winner: string | undefined;
  readonly priority: string;
  readonly modelDigest: string;
  readonly territory: Territory | undefined;
  readonly waitWeight: number;
  readonly candidates: readonly Candidate[];
}

interface Head extends Omit<Explanation, 'candidates' | 'waitWeight' | 'winner'> {
  readonly taskId: string;
  readonly winner: number;
}

/** Numbers of a candidate: round trips, way, service, price, outstanding, unseen, slots. */
const TERMS = 7;
const DECISIONS_MAX = 16_384;
/** With many regions fewer decisions are kept. */
const BYTES_MAX = 8 * 2 ** 20;

/**
 * The last decisions of this owner, for those who ask why.
 *
 * 1. Memory is taken once, for `capacity` decisions; the oldest makes room.
 * 2. What is kept is what the decision was made from, not what is known now.
 */
export class DecisionLog {
  readonly capacity: number;
  readonly #regions: readonly string[];
  readonly #heads: (Head | undefined)[];
  readonly #terms: Float32Array;
  readonly #exclusions: Uint8Array;
  #next = 0;

  /** @param regions in the order of the decisions that will be added */
  constructor(regions: readonly string[], capacity = DECISIONS_MAX) {
    const entryBytes = regions.length * (TERMS * Float32Array.BYTES_PER_ELEMENT + 1);
    this.capacity = Math.max(1, Math.min(capacity, Math.floor(BYTES_MAX / Math.max(1, entryBytes))));
    this.#regions = regions;
    this.#heads = new Array(this.capacity);
    this.#terms = new Float32Array(this.capacity * regions.length * TERMS);
    this.#exclusions = new Uint8Array(this.capacity * regions.length);
  }

  add(
    task: Task,
    decision: Decision,
    placement: { readonly attempt: number; readonly fence: number },
    nowMs: number,
  ): void {
    const slot = this.#next;
    this.#next = (slot + 1) % this.capacity;
    this.#heads[slot] = headOf(task, decision, placement, nowMs);
    const { beliefs, roundTripsMs, exclusions } = decision;
    this.#exclusions.set(exclusions, slot * this.#regions.length);
    let at = slot * this.#regions.length * TERMS;
    for (let i = 0; i < this.#regions.length; i++) {
      this.#terms[at++] = roundTripsMs[i] as number;
      this.#terms[at++] = beliefs.wayMs[i] as number;
      this.#terms[at++] = beliefs.serviceMs[i] as number;
      this.#terms[at++] = beliefs.priceMs[i] as number;
      this.#terms[at++] = beliefs.outstanding[i] as number;
      this.#terms[at++] = beliefs.unseen[i] as number;
      this.#terms[at++] = beliefs.workers[i] as number;
    }
  }

  /** Oldest first. Looks at all that is kept: for people, not for every task. */
  of(taskId: string): Explanation[] {
    const found: Explanation[] = [];
    for (let back = this.capacity; back > 0; back--) {
      const slot = (this.#next + this.capacity - back) % this.capacity;
      const head = this.#heads[slot];
      if (head?.taskId === taskId) found.push(this.#explanation(head, slot));
    }
    return found;
  }

  #explanation({ taskId: _, winner, ...head }: Head, slot: number): Explanation {
    const reasons = head.territory?.reasons;
    const candidates = this.#regions.map((region, i) => ({
      ...this.#candidate(region, slot * this.#regions.length + i),
      notAllowed: reasons?.get(region) ?? '',
    }));
    return { ...head, winner: this.#regions[winner], waitWeight: WAIT_WEIGHT, candidates };
  }

  #candidate(region: string, row: number): Omit<Candidate, 'notAllowed'> {
    const [roundTrips = 0, way = 0, service = 0, price = 0, outstanding = 0, unseen = 0, slots = 0] =
      this.#terms.subarray(row * TERMS, (row + 1) * TERMS);
    const column = (value: number) => Float64Array.of(value);
    const beliefs = {
      ...{ wayMs: column(way), serviceMs: column(service), workers: column(slots) },
      ...{ outstanding: column(outstanding), unseen: column(unseen), priceMs: column(price) },
    };
    const waitMs = expectedWaitMs(beliefs, 0);
    return {
      region,
      exclusion: EXCLUSIONS[this.#exclusions[row] ?? 0] ?? '',
      roundTripMs: roundTrips,
      transferMs: way - roundTrips,
      ...{ serviceMs: service, priceMs: price, waitMs, outstanding, unseen, slots },
      totalMs: way + service + price + WAIT_WEIGHT * waitMs,
    };
  }
}

/** A decision that was not kept, as it is. */
export function explain(task: Task, decision: Decision, nowMs: number): Explanation | undefined {
  const log = new DecisionLog(
    decision.views.map(({ facts }) => facts.name),
    1,
  );
  log.add(task, decision, { attempt: 0, fence: 0 }, nowMs);
  return log.of(task.taskId)[0];
}

function headOf(
  { taskId, work }: Task,
  { winner, territory }: Decision,
  { attempt, fence }: { readonly attempt: number; readonly fence: number },
  decidedMs: number,
): Head {
  const { priority, modelDigest } = work;
  return { taskId, attempt, fence, decidedMs, winner, priority, modelDigest, territory };
}
