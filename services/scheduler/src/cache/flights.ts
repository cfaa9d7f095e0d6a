import { Failure } from '@meridian/failure';

type Landing<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: Failure };

export interface Shared<T> {
  readonly value: T;
  /** It is the end of a run that another caller began. */
  readonly shared: boolean;
}

/**
 * Callers that want the same thing at the same time share one run.
 *
 * 1. At most one run of a key at a time. Who comes while it runs gets its end, good or bad; who comes later runs anew.
 * 2. A run that ended because its own caller left, or by that caller's deadline, says nothing about the others: one of
 *    them runs next.
 * 3. A caller that leaves while it waits leaves alone: the run goes on.
 * 4. Holds no more runs than there are callers.
 */
export class Flights<T> {
  readonly #landings = new Map<string, Promise<Landing<T>>>();

  get size(): number {
    return this.#landings.size;
  }

  /** @param waiting ends early, by a rejection, what this caller does not want to wait for any more */
  async once(key: string, run: () => Promise<T>, waiting: <V>(shared: Promise<V>) => Promise<V>): Promise<Shared<T>> {
    for (;;) {
      const landing = this.#landings.get(key);
      if (landing === undefined) return { value: await this.#fly(key, run), shared: false };
      const landed = await waiting(landing);
      if (landed.ok) return { value: landed.value, shared: true };
      if (!isOfItsCaller(landed.failure)) throw landed.failure;
    }
  }

  async #fly(key: string, run: () => Promise<T>): Promise<T> {
    const landing = run()
      .then(
        (value): Landing<T> => ({ ok: true, value }),
        (error: unknown): Landing<T> => ({ ok: false, failure: Failure.from(error) }),
      )
      .finally(() => this.#landings.delete(key));
    this.#landings.set(key, landing);
    const landed = await landing;
    if (landed.ok) return landed.value;
    throw landed.failure;
  }
}

function isOfItsCaller({ code }: Failure): boolean {
  return code === 'CANCELLED' || code === 'DEADLINE_EXCEEDED';
}
