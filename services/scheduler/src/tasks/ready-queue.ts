import { PRIORITY_CLASSES, type PriorityClassName } from '@meridian/contracts';
import { Fifo } from './fifo.ts';

/**
 * Tasks that wait for a place, in the order in which they get one.
 *
 * 1. Classes share by weight (stride scheduling): while all have tasks that can be placed, of 21 placements 16 are
 *    high, 4 normal and 1 low. A class that was empty joins at the current pass: it is owed nothing for the past.
 * 2. Inside a class tenants take turns, inside a tenant jobs take turns, inside a job the order is first in, first
 *    out; tasks that come back (their attempt was lost) go before those that were never placed.
 * 3. What cannot be placed now is passed over without being charged, so it never blocks others.
 */
export const CLASS_WEIGHTS: Readonly<Record<PriorityClassName, number>> = { high: 16, normal: 4, low: 1 };

export interface ReadyEntry {
  readonly taskId: string;
  /** Tasks of one job; a call is a job of its own tenant's calls. */
  readonly jobKey: string;
  readonly tenant: string;
  readonly priority: PriorityClassName;
}

/** What became of an offered task: placed now, not possible now, or it does not wait any more. */
export type Offer = 'placed' | 'blocked' | 'gone';

interface ClassQueue {
  readonly tenants: Map<string, Map<string, Fifo<ReadyEntry>>>;
  /** Virtual time at which the class is next. */
  pass: number;
  size: number;
}

export class ReadyQueue {
  readonly #classes: Readonly<Record<PriorityClassName, ClassQueue>> = {
    high: { tenants: new Map(), pass: 0, size: 0 },
    normal: { tenants: new Map(), pass: 0, size: 0 },
    low: { tenants: new Map(), pass: 0, size: 0 },
  };

  /** Includes entries that are gone and were not offered yet. */
  get total(): number {
    return this.#classes.high.size + this.#classes.normal.size + this.#classes.low.size;
  }

  size(priority: PriorityClassName): number {
    return this.#classes[priority].size;
  }

  /** @param returning the task was placed before: it goes to the front of its job. */
  add(entry: ReadyEntry, returning: boolean): void {
    const queue = this.#classes[entry.priority];
    if (queue.size === 0) queue.pass = Math.max(queue.pass, this.#now());
    const jobs = computed(queue.tenants, entry.tenant, () => new Map<string, Fifo<ReadyEntry>>());
    const fifo = computed(jobs, entry.jobKey, () => new Fifo<ReadyEntry>());
    if (returning) fifo.unshift(entry);
    else fifo.push(entry);
    queue.size++;
  }

  /**
   * Offers tasks in order until one is placed. `place` must answer without side effects unless it places.
   * @returns false when nothing that waits can be placed now.
   */
  placeNext(place: (entry: ReadyEntry) => Offer): boolean {
    const order = PRIORITY_CLASSES.filter((priority) => this.#classes[priority].size > 0);
    order.sort((a, b) => this.#classes[a].pass - this.#classes[b].pass);
    for (const priority of order) {
      const queue = this.#classes[priority];
      if (!placeInClass(queue, place)) continue;
      queue.pass += 1 / CLASS_WEIGHTS[priority];
      return true;
    }
    return false;
  }

  /** Pass of the class that is next: where a class that was empty joins. */
  #now(): number {
    const passes = PRIORITY_CLASSES.map((priority) => this.#classes[priority]).filter((queue) => queue.size > 0);
    return passes.length === 0 ? 0 : Math.min(...passes.map((queue) => queue.pass));
  }
}

// Maps are changed while iterated: taking out is safe at any time, and after putting back it returns.
function placeInClass(queue: ClassQueue, place: (entry: ReadyEntry) => Offer): boolean {
  for (const [tenant, jobs] of queue.tenants) {
    for (const [jobKey, fifo] of jobs) {
      const offer = offerHead(queue, fifo, place);
      if (fifo.size === 0) jobs.delete(jobKey);
      if (offer !== 'placed') continue;
      // A map iterates in order of insertion: taking out and putting back is going to the end of the round.
      if (jobs.delete(jobKey)) jobs.set(jobKey, fifo);
      queue.tenants.delete(tenant);
      if (jobs.size > 0) queue.tenants.set(tenant, jobs);
      return true;
    }
    if (jobs.size === 0) queue.tenants.delete(tenant);
  }
  return false;
}

function offerHead(queue: ClassQueue, fifo: Fifo<ReadyEntry>, place: (entry: ReadyEntry) => Offer): Offer {
  for (;;) {
    const head = fifo.peek();
    if (head === undefined) return 'gone';
    const offer = place(head);
    if (offer === 'blocked') return offer;
    fifo.shift();
    queue.size--;
    if (offer === 'placed') return offer;
  }
}

function computed<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const value = make();
  map.set(key, value);
  return value;
}
