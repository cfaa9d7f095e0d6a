import type { PriorityClassName } from '@meridian/contracts';
import { CLASS_WEIGHTS } from '../intake/credit.ts';
import { Stride } from '../intake/stride.ts';

/**
 * Claims whose bytes and model are here, waiting for a slot. The next class is chosen by stride, so that a high one
 * overtakes what was prefetched and the lowest never starves; within a class it is first come, first served.
 * Bounded by the bytes of the pictures it refers to.
 */
export class RunQueue<T extends { readonly facts: { readonly key: string; readonly priority: PriorityClassName } }> {
  readonly #stride = new Stride(CLASS_WEIGHTS);
  /** Maps keep insertion order and delete in constant time. */
  readonly #waiting: Readonly<Record<PriorityClassName, Map<string, T>>> = {
    high: new Map(),
    normal: new Map(),
    low: new Map(),
  };

  get size(): number {
    return this.#waiting.high.size + this.#waiting.normal.size + this.#waiting.low.size;
  }

  add(item: T): void {
    this.#waiting[item.facts.priority].set(item.facts.key, item);
  }

  remove(item: T): void {
    this.#waiting[item.facts.priority].delete(item.facts.key);
  }

  take(): T | undefined {
    const priority = this.#stride.choose((key) => this.#waiting[key].size > 0);
    if (priority === undefined) return undefined;
    const [item] = this.#waiting[priority].values();
    if (item !== undefined) this.remove(item);
    return item;
  }
}
