/** Events of a simulation by time; those of one time in the order in which they were added. */
export class EventHeap<T> {
  readonly #times: number[] = [];
  readonly #orders: number[] = [];
  readonly #events: T[] = [];
  #added = 0;

  get size(): number {
    return this.#events.length;
  }

  add(timeMs: number, event: T): void {
    let at = this.#events.length;
    const order = this.#added++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#times[parent] as number) <= timeMs) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, timeMs, order, event);
  }

  get nextMs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  /** @returns undefined when there is none. */
  take(): T | undefined {
    const first = this.#events[0];
    const [time, order, event] = [this.#times.pop(), this.#orders.pop(), this.#events.pop()];
    if (time === undefined || order === undefined || event === undefined || this.#events.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#events.length) break;
      if (child + 1 < this.#events.length && this.#isBefore(child + 1, child)) child++;
      const childTime = this.#times[child] as number;
      if (time < childTime || (time === childTime && order < (this.#orders[child] as number))) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, time, order, event);
    return first;
  }

  #isBefore(a: number, b: number): boolean {
    const [timeA, timeB] = [this.#times[a] as number, this.#times[b] as number];
    return timeA < timeB || (timeA === timeB && (this.#orders[a] as number) < (this.#orders[b] as number));
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from] as number, this.#orders[from] as number, this.#events[from] as T);
  }

  #put(at: number, time: number, order: number, event: T): void {
    this.#times[at] = time;
    this.#orders[at] = order;
    this.#events[at] = event;
  }
}
