import type { Counts } from './counters.ts';
import { drawOptions, FETCH_INTERVAL_MS, type SimulationOptions } from './options.ts';
import { Violation } from './violation.ts';
import { Chance } from './world/chance.ts';
import { Clients } from './world/clients.ts';
import { Faults } from './world/faults.ts';
import { World } from './world/world.ts';

export interface RunResult {
  readonly seed: number;
  readonly hash: string;
  readonly counts: Counts;
  readonly options: SimulationOptions;
  readonly violation: { readonly property: string; readonly message: string } | undefined;
  readonly lines: readonly string[];
}

/** Rounds that everything may take that follows from a fault: seals, ended epochs, forgotten deletions. */
const HOUSEKEEPING_ROUNDS = 6;
const SLACK_MS = 3_000;
/** Of 100 ms. */
const RECOVERY_STEPS = 30;
const HOUR_MS = 3_600_000;
/** What went with a store, or with a region that was removed, is given up only after a good while. */
const GIVE_UP_MS = 75_000;

/** One run: a pure function of the seed and the code. */
export function simulate(seed: number, traceLinesMax = 0): RunResult {
  const options = drawOptions(seed, new Chance(seed, 0));
  const world = new World(options, traceLinesMax);
  let violation: RunResult['violation'];
  try {
    new Run(world).all();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = { property: error.property, message: error.message };
  }
  const { counts, trace } = world;
  return { seed, hash: trace.hash, counts, options, violation, lines: trace.lines };
}

/** Faults, then a heal, then what must come of it. */
class Run {
  readonly #world: World;
  readonly #clients: Clients;
  readonly #faults: Faults;

  constructor(world: World) {
    this.#world = world;
    this.#clients = new Clients(world);
    this.#faults = new Faults(world);
  }

  all(): void {
    this.#faults.schedule();
    this.#pass(this.#clients.schedule() + 1);
    this.#heal();
    this.#endClone();
    this.#awaitAddition();
    this.#pass(2 * FETCH_INTERVAL_MS + SLACK_MS);
    const { counts } = this.#world;
    counts['acknowledged writes lost with their store'] += this.#expectSameValues('asked for');
    this.#awaitEqual();
    this.#expectQuiet();
    this.#probe();
    if (this.#world.options.rots) this.#rot();
  }

  /** Every region takes writes, and they arrive everywhere. */
  #probe(): void {
    const { counts, options } = this.#world;
    const before = counts['acknowledged writes'];
    if (options.restartsAtRest) this.#restart();
    const asked = this.#clients.probe();
    if (options.restartsAtRest) this.#turnClocks(HOUR_MS);
    this.#pass(FETCH_INTERVAL_MS + SLACK_MS);
    if (counts['acknowledged writes'] - before !== asked)
      throw new Violation(
        'S17',
        `of ${asked} writes at rest ${counts['acknowledged writes'] - before} are acknowledged`,
      );
    this.#expectSameValues();
    this.#awaitEqual();
  }

  /** S13: what was given out before lies in the log, or nowhere. */
  #restart(): void {
    const { counts } = this.#world;
    this.#turnClocks(-HOUR_MS);
    for (const process of this.#world.members()) {
      counts['restarts at rest']++;
      process.crash(50);
    }
    this.#pass(100);
    // Of a log that has nothing but a record that cannot be read nobody knows what it was: it is fetched first.
    const isRecovering = () => this.#world.members().some(({ machine }) => machine.isRecovering);
    for (let i = 0; i < RECOVERY_STEPS && isRecovering(); i++) this.#pass(100);
  }

  #turnClocks(byMs: number): void {
    const { heap } = this.#world;
    for (const { wall } of this.#world.members()) wall.jump(byMs, heap.nowMs);
  }

  /** S19: a disk has silently lost a record. Clocks do not show it, digests do. */
  #rot(): void {
    const world = this.#world;
    const chance = new Chance(world.options.seed, 7);
    const process = chance.pick(world.members());
    const keys = world.options.keys.filter((key) => process.disk.records.has(key));
    if (keys.length === 0) return;
    world.counts['rotten records']++;
    world.hasRotted = true;
    world.oracle.rots();
    process.crash(50);
    process.replaceDisk(process.disk.without(chance.pick(keys), process.store.lacking([])));
    this.#pass(3 * FETCH_INTERVAL_MS + SLACK_MS);
    this.#expectSameValues();
    this.#awaitEqual();
  }

  #pass(forMs: number): void {
    this.#world.heap.runUntil(this.#world.heap.nowMs + forMs);
  }

  /** The last fault. All clocks are right from now on, and later than every timestamp that was given out. */
  #heal(): void {
    const { network, processes, heap, oracle, trace } = this.#world;
    trace.add(heap.nowMs, 'all', 'heal');
    this.#faults.isOver = true;
    network.calm();
    let latestMs = 0;
    for (const { hlc } of oracle.writes.facts) latestMs = Math.max(latestMs, hlc.wallMs);
    for (const { wall } of processes) latestMs = Math.max(latestMs, wall.highestMs(heap.nowMs));
    for (const process of processes) {
      process.armed = undefined;
      process.diskMs = 1;
      process.wall.set(latestMs + 1_000, heap.nowMs);
      process.start();
      process.thaw();
      process.step({ kind: 'connected' });
    }
  }

  /** A second process of a region is noticed, and can go once others have what it wrote. */
  #endClone(): void {
    const { departing } = this.#faults;
    if (departing === undefined) return;
    const { options, oracle, alarms, counts } = this.#world;
    this.#pass(8 * options.headIntervalMs + 2 * FETCH_INTERVAL_MS);
    for (let i = 0; i < 3 && !oracle.losses.isHeldByOthers(departing.store); i++) this.#pass(FETCH_INTERVAL_MS);
    if (!oracle.losses.isHeldByOthers(departing.store))
      throw new Violation('S17', `nobody fetches what ${departing.name} wrote beside its clone`);
    if (!alarms.has('CLONED')) throw new Violation('S24', `nobody notices that there are two of ${departing.region}`);
    counts['clones detected']++;
    departing.isRetired = true;
    departing.crash(0);
    oracle.losses.left(departing.store);
  }

  #awaitAddition(): void {
    const { awaitsAddition } = this.#faults;
    if (awaitsAddition === undefined) return;
    const { rejoined } = this.#world;
    for (let i = 0; i < 20 && !rejoined.has(awaitsAddition); i++) this.#pass(FETCH_INTERVAL_MS);
    if (!rejoined.has(awaitsAddition))
      throw new Violation('S27', `${awaitsAddition} was added again and does not come back`);
  }

  #expectSameValues(which: 'all' | 'asked for' = 'all'): number {
    return this.#world.oracle.convergence.expectSameValues(this.#world.members(), which);
  }

  #awaitEqual(): void {
    const { convergence } = this.#world.oracle;
    for (let left = HOUSEKEEPING_ROUNDS; ; left--) {
      try {
        convergence.expectEqual(this.#world.members());
        return;
      } catch (error) {
        if (left === 0 || !(error instanceof Violation)) throw error;
      }
      this.#pass(FETCH_INTERVAL_MS);
    }
  }

  /** S17, S22: whatever arrives late or again, nothing is written, and no entry travels. */
  #expectQuiet(): void {
    const world = this.#world;
    const {
      restores,
      wipes,
      clones,
      'damaged records': damaged,
      'torn tails': torn,
      'removals sealed': sealed,
    } = world.counts;
    const isWhole = restores + wipes + clones + damaged + torn + sealed === 0;
    this.#pass(isWhole ? 2 * FETCH_INTERVAL_MS : GIVE_UP_MS);
    const before = { appends: world.appends, published: world.publishedEntries, fetched: world.fetchedEntries };
    const chance = new Chance(world.options.seed, 6);
    for (const { origin, delta } of world.oldDeltas) {
      const others = world.members().filter(({ region }) => region !== origin);
      if (others.length === 0) continue;
      const process = chance.pick(others);
      // What a wiped store took along may come back this way, and then it is new.
      if (!world.oracle.isAmong(delta.entries, process.clock.covered)) continue;
      world.oracle.arrived(delta.entries);
      world.heap.after(chance.between(0, FETCH_INTERVAL_MS), () => process.step({ kind: 'delta', origin, delta }));
    }
    this.#pass(FETCH_INTERVAL_MS + SLACK_MS);
    const [appends, published] = [world.appends - before.appends, world.publishedEntries - before.published];
    const fetched = world.fetchedEntries - before.fetched;
    if (appends + published + fetched > 0)
      throw new Violation(
        'S17',
        `not quiet at rest: ${appends} records, ${published} entries in deltas, ${fetched} fetched`,
      );
    this.#expectSameValues();
    world.oracle.convergence.expectEqual(world.members());
  }
}
