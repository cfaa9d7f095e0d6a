/** Numbers of tasks, first in, first out: a ring that doubles when it is full. */
export class TaskQueue {
  #ring = new Int32Array(256);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(task: number): void {
    if (this.#size === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#size++) & (this.#ring.length - 1)] = task;
  }

  /** There must be one. */
  shift(): number {
    const task = this.#ring[this.#head] as number;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#size--;
    return task;
  }

  #grow(): void {
    const ring = new Int32Array(this.#ring.length * 2);
    ring.set(this.#ring.subarray(this.#head));
    ring.set(this.#ring.subarray(0, this.#head), this.#ring.length - this.#head);
    [this.#ring, this.#head] = [ring, 0];
  }
}
