import { Violation } from '../violation.ts';

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => void;
}

/** Far beyond what any run needs: a hundred times the usual. */
const EVENTS_MAX = 400_000;

/** What is still to happen, earliest first; at the same time in the order in which it was scheduled. */
export class EventHeap {
  readonly #heap: Scheduled[] = [];
  #order = 0;
  #events = 0;
  nowMs = 0;

  get size(): number {
    return this.#heap.length;
  }

  after(delayMs: number, act: () => void): void {
    const heap = this.#heap;
    const added: Scheduled = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, act };
    let at = heap.length;
    heap.push(added);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Scheduled;
      if (!isBefore(added, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = added;
  }

  /** Carries out everything up to then, and what follows from it. */
  runUntil(untilMs: number): void {
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= untilMs; first = this.#heap[0]) {
      this.#removeFirst();
      this.nowMs = first.atMs;
      if (++this.#events > EVENTS_MAX) throw new Violation('S17', 'it does not come to rest: too much happens');
      first.act();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as Scheduled;
    const size = heap.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Scheduled)) child++;
      const below = heap[child] as Scheduled;
      if (!isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
