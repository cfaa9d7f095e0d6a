import type { Beliefs } from '../online/cheapest.ts';

/**
 * Reports on their way: what a region said of itself, how many tasks it had got from the listener by then, and the task whose
 * result it came with; −1 for none.
 */
export class ReportPool {
  #columns = new Float64Array(COLUMNS * 1_024);
  readonly #free: number[] = [];
  #used = 0;
  readonly #arrived = { region: 0, received: 0, task: -1 };

  /** @returns its number, until it is read. */
  add(region: number, outstanding: number, workers: number, priceMs: number, received: number, task: number): number {
    const report = this.#free.pop() ?? this.#used++;
    if (report * COLUMNS >= this.#columns.length) this.#grow();
    const at = report * COLUMNS;
    const columns = this.#columns;
    columns[at] = region;
    columns[at + 1] = outstanding;
    columns[at + 2] = workers;
    columns[at + 3] = priceMs;
    columns[at + 4] = received;
    columns[at + 5] = task;
    return report;
  }

  /** Writes what it says into `beliefs` and gives its number back. The answer is valid until the next call. */
  read(report: number, beliefs: Beliefs): Arrived {
    const at = report * COLUMNS;
    const columns = this.#columns;
    const region = columns[at] as number;
    beliefs.outstanding[region] = columns[at + 1] as number;
    beliefs.workers[region] = columns[at + 2] as number;
    beliefs.priceMs[region] = columns[at + 3] as number;
    this.#arrived.region = region;
    this.#arrived.received = columns[at + 4] as number;
    this.#arrived.task = columns[at + 5] as number;
    this.#free.push(report);
    return this.#arrived;
  }

  #grow(): void {
    const columns = new Float64Array(this.#columns.length * 2);
    columns.set(this.#columns);
    this.#columns = columns;
  }
}

const COLUMNS = 6;

interface Arrived {
  readonly region: number;
  readonly received: number;
  readonly task: number;
}
