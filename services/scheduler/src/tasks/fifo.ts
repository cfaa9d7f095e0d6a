/** A queue whose front can be put back to. All operations are constant time, amortised; taken slots are released. */
export class Fifo<T> {
  /** Entries that came back, the next one last. */
  readonly #returned: T[] = [];
  #entries: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#returned.length + this.#entries.length - this.#head;
  }

  push(entry: T): void {
    this.#entries.push(entry);
  }

  unshift(entry: T): void {
    this.#returned.push(entry);
  }

  peek(): T | undefined {
    return this.#returned.at(-1) ?? this.#entries[this.#head];
  }

  shift(): T | undefined {
    const returned = this.#returned.pop();
    if (returned !== undefined || this.#head === this.#entries.length) return returned;
    const entry = this.#entries[this.#head];
    this.#entries[this.#head++] = undefined;
    // Copying once half is free keeps the array within twice its content.
    if (this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }
}
