/**
 * What is to happen, by time: a binary heap in columns, so that no event allocates anything.
 *
 * 1. `take` gives events in the order of their times. Which of two at the same time comes first depends on nothing but the
 *    calls before: the same calls give the same order.
 * 2. `kind`, `place` and `item` are of the event that `take` gave last.
 */
export class Events {
  #times = new Float64Array(1_024);
  #tags = new Int32Array(1_024);
  #items = new Int32Array(1_024);
  #count = 0;
  kind = 0;
  /** A region: 0 … 255. */
  place = 0;
  item = 0;

  get nextMs(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number);
  }

  add(timeMs: number, kind: number, place: number, item: number): void {
    if (this.#count === this.#times.length) this.#grow();
    const [times, tags, items] = [this.#times, this.#tags, this.#items];
    let at = this.#count++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const parentMs = times[parent] as number;
      if (parentMs <= timeMs) break;
      times[at] = parentMs;
      tags[at] = tags[parent] as number;
      items[at] = items[parent] as number;
      at = parent;
    }
    times[at] = timeMs;
    tags[at] = (kind << 8) | place;
    items[at] = item;
  }

  /** Removes the first event and returns its time; there must be one. */
  take(): number {
    const [times, tags, items] = [this.#times, this.#tags, this.#items];
    const firstMs = times[0] as number;
    const tag = tags[0] as number;
    this.kind = tag >> 8;
    this.place = tag & 255;
    this.item = items[0] as number;
    const last = --this.#count;
    const lastMs = times[last] as number;
    let at = 0;
    for (let child = 1; child < last; child = 2 * at + 1) {
      if (child + 1 < last && (times[child + 1] as number) < (times[child] as number)) child++;
      const childMs = times[child] as number;
      if (lastMs <= childMs) break;
      times[at] = childMs;
      tags[at] = tags[child] as number;
      items[at] = items[child] as number;
      at = child;
    }
    times[at] = lastMs;
    tags[at] = tags[last] as number;
    items[at] = items[last] as number;
    return firstMs;
  }

  #grow(): void {
    const room = this.#times.length * 2;
    const [times, tags, items] = [new Float64Array(room), new Int32Array(room), new Int32Array(room)];
    times.set(this.#times);
    tags.set(this.#tags);
    items.set(this.#items);
    [this.#times, this.#tags, this.#items] = [times, tags, items];
  }
}
