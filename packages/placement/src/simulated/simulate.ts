import { type Random, seededRandom } from '@meridian/runtime';
import type { Beliefs } from '../online/cheapest.ts';
import { PRICE_INTERVAL_MS, PriceController } from '../online/price.ts';
import { EventHeap } from './event-heap.ts';
import type { Policy, Sight } from './policy.ts';
import { roundTripMs, type Scenario } from './scenario.ts';

/** Between two reports of a region to all others. */
const GOSSIP_MS = 100;

export interface Answers {
  /** Of each task that was answered, ms, in no order. */
  readonly latenciesMs: Float64Array;
  readonly meanMs: number;
  /** By region: tasks that it ran. */
  readonly ran: readonly number[];
}

/** What a region says of itself, and what it had got from the listener by then. */
interface Report {
  readonly region: number;
  readonly outstanding: number;
  readonly workers: number;
  readonly priceMs: number;
  readonly received: number;
}

interface Task {
  readonly origin: number;
  readonly startMs: number;
  readonly serviceMs: number;
}

type Event =
  | { readonly kind: 'begins'; readonly origin: number }
  | { readonly kind: 'reaches'; readonly region: number; readonly task: Task }
  | { readonly kind: 'finishes'; readonly region: number; readonly task: Task }
  | { readonly kind: 'told'; readonly origin: number; readonly report: Report }
  | { readonly kind: 'gossips' | 'prices'; readonly region: number };

/**
 * Discrete-event simulation of regions that place each other's tasks: Poisson arrivals, first come first served, reports as
 * old as the way they come. Times in milliseconds. The same seed gives the same run; nothing is shed or left out.
 */
export function simulate(scenario: Scenario, policy: Policy, seed: number): Answers {
  return new World(scenario, policy, seed).run();
}

class World {
  readonly #scenario: Scenario;
  readonly #policy: Policy;
  readonly #arrivals: readonly Random[];
  readonly #services: Random;
  readonly #events = new EventHeap<Event>();
  readonly #sight: Sight;
  readonly #prices: readonly PriceController[];
  readonly #queues: readonly Fifo<Task>[];
  readonly #busy: number[];
  /** By origin, then region. */
  readonly #sent: readonly Float64Array[];
  readonly #received: readonly Float64Array[];
  readonly #latencies: number[] = [];
  readonly #ran: number[];
  #nowMs = 0;

  constructor(scenario: Scenario, policy: Policy, seed: number) {
    const { regions } = scenario;
    const zeros = () => regions.map(() => 0);
    this.#scenario = scenario;
    this.#policy = policy;
    this.#arrivals = regions.map((_, i) => seededRandom(seed * 1_000 + i));
    this.#services = seededRandom(seed * 1_000 + 999);
    this.#prices = regions.map(() => new PriceController());
    this.#queues = regions.map(() => new Fifo<Task>());
    this.#busy = zeros();
    this.#ran = zeros();
    this.#sent = regions.map(() => new Float64Array(regions.length));
    this.#received = regions.map(() => new Float64Array(regions.length));
    const ways = regions.map((a) => Float64Array.from(regions, (b) => roundTripMs(a, b)));
    const workers = Float64Array.from(regions, (_, j) => scenario.workers(j, 0));
    const beliefs = (wayMs: Float64Array): Beliefs => ({
      wayMs,
      serviceMs: new Float64Array(regions.length).fill(scenario.meanServiceMs),
      workers: workers.slice(),
      outstanding: new Float64Array(regions.length),
      unseen: new Float64Array(regions.length),
      priceMs: new Float64Array(regions.length),
    });
    this.#sight = {
      regions: regions.length,
      roundTripMs: ways,
      beliefs: ways.map(beliefs),
      truth: beliefs(new Float64Array(regions.length)),
      meanServiceMs: scenario.meanServiceMs,
    };
    for (const [j] of regions.entries()) {
      this.#nextArrival(j);
      this.#events.add((GOSSIP_MS * j) / regions.length, { kind: 'gossips', region: j });
      this.#events.add((PRICE_INTERVAL_MS * j) / regions.length, { kind: 'prices', region: j });
    }
  }

  run(): Answers {
    const { durationMs } = this.#scenario;
    let outstanding = 0;
    while (this.#events.nextMs < durationMs || outstanding > 0) {
      this.#nowMs = this.#events.nextMs;
      const event = this.#events.take();
      if (event === undefined) break;
      if (event.kind === 'begins') {
        if (this.#nowMs >= durationMs) continue;
        outstanding++;
        this.#begins(event.origin);
      } else if (event.kind === 'reaches') this.#reaches(event.region, event.task);
      else if (event.kind === 'finishes') {
        outstanding--;
        this.#finishes(event.region, event.task);
      } else if (event.kind === 'told') this.#told(event.origin, event.report);
      else this.#looks(event);
    }
    const latenciesMs = Float64Array.from(this.#latencies);
    return { latenciesMs, meanMs: latenciesMs.reduce((a, b) => a + b, 0) / latenciesMs.length, ran: this.#ran };
  }

  #begins(origin: number): void {
    const { sight, now } = { sight: this.#sight, now: this.#nowMs };
    const region = this.#policy(origin, sight);
    const beliefs = sight.beliefs[origin] as Beliefs;
    const sent = this.#sent[origin] as Float64Array;
    const [way] = [(sight.roundTripMs[origin] as Float64Array)[region] as number];
    sent[region] = (sent[region] as number) + 1;
    beliefs.unseen[region] = (beliefs.unseen[region] as number) + 1;
    sight.truth.outstanding[region] = (sight.truth.outstanding[region] as number) + 1;
    const task = { origin, startMs: now, serviceMs: this.#serviceMs() };
    this.#events.add(now + way / 2, { kind: 'reaches', region, task });
    this.#nextArrival(origin);
  }

  #reaches(region: number, task: Task): void {
    const received = this.#received[task.origin] as Float64Array;
    received[region] = (received[region] as number) + 1;
    (this.#queues[region] as Fifo<Task>).push(task);
    this.#startWork(region);
  }

  #startWork(region: number): void {
    const queue = this.#queues[region] as Fifo<Task>;
    while (queue.size > 0 && (this.#busy[region] as number) < this.#scenario.workers(region, this.#nowMs)) {
      const task = queue.shift() as Task;
      this.#busy[region] = (this.#busy[region] as number) + 1;
      this.#events.add(this.#nowMs + task.serviceMs, { kind: 'finishes', region, task });
    }
  }

  #finishes(region: number, { origin, startMs }: Task): void {
    const { truth, roundTripMs: ways } = this.#sight;
    const way = (ways[origin] as Float64Array)[region] as number;
    this.#busy[region] = (this.#busy[region] as number) - 1;
    this.#ran[region] = (this.#ran[region] as number) + 1;
    truth.outstanding[region] = (truth.outstanding[region] as number) - 1;
    this.#latencies.push(this.#nowMs + way / 2 - startMs);
    this.#startWork(region);
    this.#tell(origin, region);
  }

  #looks({ kind, region }: Extract<Event, { kind: 'gossips' | 'prices' }>): void {
    if (kind === 'gossips') {
      for (let origin = 0; origin < this.#sight.regions; origin++) this.#tell(origin, region);
      this.#startWork(region);
      this.#events.add(this.#nowMs + GOSSIP_MS, { kind, region });
      return;
    }
    const workers = this.#scenario.workers(region, this.#nowMs);
    (this.#prices[region] as PriceController).observe(this.#outstanding(region), workers, PRICE_INTERVAL_MS);
    this.#sight.truth.workers[region] = workers;
    this.#sight.truth.priceMs[region] = (this.#prices[region] as PriceController).priceMs;
    this.#events.add(this.#nowMs + PRICE_INTERVAL_MS, { kind, region });
  }

  #tell(origin: number, region: number): void {
    const way = (this.#sight.roundTripMs[origin] as Float64Array)[region] as number;
    const report = {
      region,
      outstanding: this.#outstanding(region),
      workers: this.#scenario.workers(region, this.#nowMs),
      priceMs: (this.#prices[region] as PriceController).priceMs,
      received: (this.#received[origin] as Float64Array)[region] as number,
    };
    this.#events.add(this.#nowMs + way / 2, { kind: 'told', origin, report });
  }

  #told(origin: number, { region, outstanding, workers, priceMs, received }: Report): void {
    const beliefs = this.#sight.beliefs[origin] as Beliefs;
    beliefs.outstanding[region] = outstanding;
    beliefs.workers[region] = workers;
    beliefs.priceMs[region] = priceMs;
    beliefs.unseen[region] = ((this.#sent[origin] as Float64Array)[region] as number) - received;
  }

  #outstanding(region: number): number {
    return (this.#queues[region] as Fifo<Task>).size + (this.#busy[region] as number);
  }

  /** By thinning: candidates come at the highest rate, each counts with the chance of its time. */
  #nextArrival(origin: number): void {
    const random = this.#arrivals[origin] as Random;
    const most = this.#scenario.demandMax(origin);
    let atMs = this.#nowMs;
    do atMs -= (Math.log(1 - random.next()) * 1_000) / most;
    while (random.next() * most > this.#scenario.demand(origin, atMs));
    this.#events.add(atMs, { kind: 'begins', origin });
  }

  #serviceMs(): number {
    const { meanServiceMs, serviceCv } = this.#scenario;
    const variance = Math.log(1 + serviceCv * serviceCv);
    const normal = Math.sqrt(-2 * Math.log(1 - this.#services.next())) * Math.cos(2 * Math.PI * this.#services.next());
    return meanServiceMs * Math.exp(Math.sqrt(variance) * normal - variance / 2);
  }
}

/** First in, first out, without moving what waits. */
class Fifo<T> {
  #items: T[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head++];
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
