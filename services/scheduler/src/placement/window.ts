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
    const counted = held.high + (priority === 'high' ? 0 : held.normal) + (priority === 'low' ? held.low : 0);
    return counted < (returning ? 2 * this.#size : this.#size);
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

  /** Tasks there of classes below: they let one of this class pass. */
  heldBelow(region: string, priority: PriorityClassName): number {
    const held = this.#held.get(region);
    if (held === undefined || priority === 'low') return 0;
    return held.low + (priority === 'high' ? held.normal : 0);
  }

  held(region: string): number {
    const held = this.#held.get(region);
    return held === undefined ? 0 : held.high + held.normal + held.low;
  }
}
