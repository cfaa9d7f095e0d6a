import type { PriorityClassName } from '@meridian/contracts';

/**
 * How many tasks of this owner a region may hold at a time. The rest waits at the owner, where a change of load, health
 * or priority can still change its place.
 *
 * A class counts itself and the classes above it, so that a window full of low tasks never keeps a high one waiting:
 * a region holds at most three windows. Tasks that lost their place may overfill by one window more: they must not
 * wait for others that came after them.
 */
export class PlacementWindow {
  readonly #size: number;
  readonly #held = new Map<string, Record<PriorityClassName, number>>();

  constructor(size: number) {
    this.#size = size;
  }

  allows(region: string, priority: PriorityClassName, returning: boolean): boolean {
    const held = this.#held.get(region);
    if (held === undefined) return true;
    return before(held, priority) < (returning ? 2 * this.#size : this.#size);
  }

  enter(region: string, priority: PriorityClassName): void {
    const held = this.#held.get(region) ?? { high: 0, normal: 0, low: 0 };
    this.#held.set(region, held);
    held[priority]++;
  }

  leave(region: string, priority: PriorityClassName): void {
    const held = this.#held.get(region);
    if (held !== undefined) held[priority]--;
  }

  /**
   * Of the tasks that are there, those that one of this class waits for: all of other owners, of which we know no class,
   * and ours of its class and above. Those are counted, not taken as what is left without the lower ones: what is there
   * comes from a report, and against what has been placed since it would leave nothing for a while, wherever low tasks
   * come and go fast, and a whole burst of high ones would go to that region.
   *
   * @param outstanding all tasks there, ours included
   */
  ahead(region: string, priority: PriorityClassName, outstanding: number): number {
    const held = this.#held.get(region);
    if (held === undefined) return outstanding;
    const all = before(held, 'low');
    const first = before(held, priority);
    return first === all ? outstanding : Math.max(0, outstanding - all) + first;
  }

  held(region: string): number {
    const held = this.#held.get(region);
    return held === undefined ? 0 : held.high + held.normal + held.low;
  }
}

/** Tasks of the class and of those above it. */
function before(held: Record<PriorityClassName, number>, priority: PriorityClassName): number {
  return held.high + (priority === 'high' ? 0 : held.normal) + (priority === 'low' ? held.low : 0);
}
