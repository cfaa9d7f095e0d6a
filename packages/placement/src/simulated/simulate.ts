import { seededRandom } from '@meridian/runtime';
import type { Beliefs } from '../online/cheapest.ts';
import { RegionPrice } from '../online/region-price.ts';
import { Events } from './events.ts';
import type { Placing, Policy, Sight } from './policy.ts';
import { ReportPool } from './reports.ts';
import type { Scenario } from './scenario.ts';
import { TaskQueue } from './task-queue.ts';
import { drawWorkload, type Workload } from './workload.ts';

/** Between two looks of a region at itself, and reports of that to all others: as often as a busy one does in production. */
const GOSSIP_MS = 100;

const REACHES = 0;
const FINISHES = 1;
const TOLD = 2;
const GOSSIPS = 3;

export interface Answers {
  /** Of each task, in no order, ms: nothing is shed or left out. */
  readonly latenciesMs: Float64Array;
  readonly meanMs: number;
  /** By region: tasks that it ran. */
  readonly ran: readonly number[];
}

/**
 * Discrete-event simulation of regions that place each other's tasks: first come first served, reports as old as the way
 * they come, one with every result and to everybody every 100 ms. The same scenario, policy and seed give the same run.
 */
export function simulate(
  scenario: Scenario,
  policy: Policy,
  seed: number,
  workload: Workload = drawWorkload(scenario, seed),
): Answers {
  return new World(scenario, policy, seed, workload).run();
}

/**
 * 1. A task is on its way, in a queue, with a worker, or answered; all are answered in the end.
 * 2. No region has more tasks with workers than it has had workers; one that loses workers finishes what they have.
 * 3. An origin's belief about a region is what that region was when the report left, and the tasks that the origin had sent
 *    by now and the region had not got by then.
 */
class World {
  readonly #scenario: Scenario;
  readonly #tasks: Workload;
  readonly #placing: Placing;
  readonly #events = new Events();
  readonly #reports = new ReportPool();
  readonly #sight: Sight;
  readonly #prices: readonly RegionPrice[];
  readonly #queues: readonly TaskQueue[];
  readonly #busy: Int32Array;
  readonly #workers: Int32Array;
  /** By origin × regions + region. */
  readonly #sent: Int32Array;
  readonly #received: Int32Array;
  readonly #halfWayMs: Float64Array;
  readonly #latencies: Float64Array;
  readonly #ran: Int32Array;
  #answered = 0;
  #nowMs = 0;

  constructor(scenario: Scenario, policy: Policy, seed: number, tasks: Workload) {
    const { regions } = scenario;
    const count = regions.length;
    this.#scenario = scenario;
    this.#tasks = tasks;
    this.#prices = regions.map(() => new RegionPrice());
    this.#queues = regions.map(() => new TaskQueue());
    this.#busy = new Int32Array(count);
    this.#ran = new Int32Array(count);
    this.#workers = Int32Array.from(regions, (_, j) => scenario.workers(j, 0));
    this.#sent = new Int32Array(count * count);
    this.#received = new Int32Array(count * count);
    this.#latencies = new Float64Array(tasks.startMs.length);
    this.#sight = sightOf(scenario, this.#workers);
    this.#halfWayMs = Float64Array.from(
      this.#sight.roundTripMs.flatMap((way) => [...way]),
      (way) => way / 2,
    );
    this.#placing = policy.begin(this.#sight, seededRandom(seed));
    // Whole milliseconds, so that sums of them are exact.
    for (let j = 0; j < count; j++) this.#events.add(Math.floor((GOSSIP_MS * j) / count), GOSSIPS, j, 0);
  }

  run(): Answers {
    const { startMs } = this.#tasks;
    const events = this.#events;
    for (let next = 0; this.#answered < startMs.length; ) {
      const beginsMs = startMs[next] ?? Number.POSITIVE_INFINITY;
      if (beginsMs <= events.nextMs) {
        this.#nowMs = beginsMs;
        this.#begins(next++);
        continue;
      }
      this.#nowMs = events.take();
      const { kind, place, item } = events;
      if (kind === REACHES) this.#reaches(place, item);
      else if (kind === FINISHES) this.#finishes(place, item);
      else if (kind === TOLD) this.#told(place, item);
      else this.#gossips(place);
    }
    const sum = this.#latencies.reduce((a, b) => a + b, 0);
    return { latenciesMs: this.#latencies, meanMs: sum / this.#answered, ran: [...this.#ran] };
  }

  #begins(task: number): void {
    const { truth, beliefs, regions } = this.#sight;
    const origin = this.#tasks.origin[task] as number;
    const region = this.#placing.place(
      origin,
      this.#nowMs,
      this.#tasks.serviceMs[task] as number,
      this.#tasks.size[task] as number,
    );
    const way = origin * regions + region;
    this.#sent[way] = (this.#sent[way] as number) + 1;
    const { unseen } = beliefs[origin] as Beliefs;
    unseen[region] = (unseen[region] as number) + 1;
    truth.outstanding[region] = (truth.outstanding[region] as number) + 1;
    this.#events.add(this.#nowMs + (this.#halfWayMs[way] as number), REACHES, region, task);
  }

  #reaches(region: number, task: number): void {
    const way = (this.#tasks.origin[task] as number) * this.#sight.regions + region;
    this.#received[way] = (this.#received[way] as number) + 1;
    (this.#queues[region] as TaskQueue).push(task);
    this.#startWork(region);
  }

  #startWork(region: number): void {
    const queue = this.#queues[region] as TaskQueue;
    while (queue.size > 0 && (this.#busy[region] as number) < (this.#workers[region] as number)) {
      const task = queue.shift();
      this.#busy[region] = (this.#busy[region] as number) + 1;
      this.#events.add(this.#nowMs + (this.#tasks.serviceMs[task] as number), FINISHES, region, task);
    }
  }

  #finishes(region: number, task: number): void {
    const { truth, regions } = this.#sight;
    const origin = this.#tasks.origin[task] as number;
    const backMs = this.#halfWayMs[origin * regions + region] as number;
    this.#busy[region] = (this.#busy[region] as number) - 1;
    this.#ran[region] = (this.#ran[region] as number) + 1;
    truth.outstanding[region] = (truth.outstanding[region] as number) - 1;
    this.#latencies[this.#answered++] = this.#nowMs + backMs - (this.#tasks.startMs[task] as number);
    this.#startWork(region);
    this.#tell(origin, region, task);
  }

  #gossips(region: number): void {
    this.#setWorkers(region);
    const price = this.#prices[region] as RegionPrice;
    price.observe({ contending: this.#outstanding(region), slots: this.#workers[region] as number }, this.#nowMs);
    this.#sight.truth.priceMs[region] = price.priceMs;
    for (let origin = 0; origin < this.#sight.regions; origin++) this.#tell(origin, region, -1);
    this.#events.add(this.#nowMs + GOSSIP_MS, GOSSIPS, region, 0);
  }

  #setWorkers(region: number): void {
    const workers = this.#scenario.workers(region, this.#nowMs);
    if (workers === this.#workers[region]) return;
    this.#workers[region] = workers;
    this.#sight.truth.workers[region] = workers;
    this.#startWork(region);
  }

  #tell(origin: number, region: number, task: number): void {
    const way = origin * this.#sight.regions + region;
    const report = this.#reports.add(
      region,
      this.#outstanding(region),
      this.#workers[region] as number,
      (this.#prices[region] as RegionPrice).priceMs,
      this.#received[way] as number,
      task,
    );
    this.#events.add(this.#nowMs + (this.#halfWayMs[way] as number), TOLD, origin, report);
  }

  #told(origin: number, report: number): void {
    const beliefs = this.#sight.beliefs[origin] as Beliefs;
    const { region, received, task } = this.#reports.read(report, beliefs);
    beliefs.unseen[region] = (this.#sent[origin * this.#sight.regions + region] as number) - received;
    if (task >= 0)
      this.#placing.learn?.(origin, this.#tasks.size[task] as number, this.#tasks.serviceMs[task] as number);
  }

  #outstanding(region: number): number {
    return (this.#queues[region] as TaskQueue).size + (this.#busy[region] as number);
  }
}

function sightOf({ regions, meanServiceMs, serviceCv, roundTripMs }: Scenario, workers: Int32Array): Sight {
  const column = () => new Float64Array(regions.length);
  const beliefs = (wayMs: Float64Array): Beliefs => ({
    wayMs,
    serviceMs: column().fill(meanServiceMs),
    workers: Float64Array.from(workers),
    outstanding: column(),
    unseen: column(),
    priceMs: column(),
  });
  const ways = regions.map((_, i) => Float64Array.from(regions, (_, j) => roundTripMs(i, j)));
  return {
    regions: regions.length,
    roundTripMs: ways,
    beliefs: ways.map(beliefs),
    truth: beliefs(column()),
    meanServiceMs,
    serviceCv,
    names: regions.map(({ name }) => name),
  };
}
