import type { Output } from '../../../services/sync/src/replication/protocol.ts';
import type { PlannedFault } from '../options.ts';
import { Chance } from './chance.ts';
import { partition } from './partition.ts';
import type { RegionProcess } from './region-process.ts';
import { emptyDisk, type VirtualDisk } from './virtual-disk.ts';
import type { World } from './world.ts';

type Of<K extends PlannedFault['kind']> = Extract<PlannedFault, { kind: K }>;
const COMMAND_RETRY_MS = 2_000;

/**
 * Does what the plan of a run says, as far as it can be recovered from: never the last log of all, no old copy of a region's
 * earlier membership, one clone at a time, one region out at a time.
 */
export class Faults {
  readonly #world: World;
  readonly #chance: Chance;
  /** The one of two processes of a region that will go. */
  departing: RegionProcess | undefined;
  /** A region that was taken out and is to come back, and has not yet. */
  awaitsAddition: string | undefined;
  /** What was planned for later does not happen. */
  isOver = false;
  #removal: string | undefined;
  /** Regions that hold an operator's command, perhaps they alone: it is not taken from them. */
  readonly #commanded = new Set<string>();

  constructor(world: World) {
    this.#world = world;
    this.#chance = new Chance(world.options.seed, 5);
  }

  schedule(): void {
    const { heap, options } = this.#world;
    for (const fault of options.faults) {
      if (fault.kind === 'restore' || fault.kind === 'clone') this.#scheduleCopy(fault);
      else heap.after(fault.atMs, () => this.isOver || this.#strike(fault));
    }
  }

  #strike(fault: Exclude<PlannedFault, Of<'restore'> | Of<'clone'>>): void {
    const process = this.#chance.pick(this.#world.processes);
    if (fault.kind === 'partition') partition(this.#world, this.#chance, fault.shape, fault.forMs);
    else if (fault.kind === 'remove') this.#remove(fault);
    else if (fault.kind === 'wipe') this.#wipe(process, fault);
    else if (fault.kind === 'damage') this.#damage(process, fault);
    else if (fault.kind === 'jump') {
      this.#world.counts['clock jumps']++;
      process.wall.jump(fault.byMs, this.#world.heap.nowMs);
    } else if (fault.kind === 'freeze') {
      this.#world.counts.freezes++;
      process.freeze(fault.forMs);
    } else process.armed = { point: fault.point, count: fault.count, downMs: fault.downMs };
  }

  /** A backup is taken first; the region goes back to it, or a second machine starts from it, later. */
  #scheduleCopy(fault: Of<'restore'> | Of<'clone'>): void {
    const { heap, processes } = this.#world;
    const takenMs = Math.max(0, fault.atMs - fault.ageMs);
    heap.after(takenMs, () => {
      const process = this.#chance.pick(processes);
      const backup = process.disk.copy();
      const rejoined = this.#world.rejoined.size;
      heap.after(fault.atMs - takenMs, () => {
        if (this.isOver || rejoined !== this.#world.rejoined.size || !this.#isWhole(process)) return;
        if (fault.kind === 'clone') this.#clone(process, backup, fault.keepsFirst);
        else this.#restore(process, backup, fault.downMs);
      });
    });
  }

  #restore(process: RegionProcess, backup: VirtualDisk, downMs: number): void {
    if (!this.#othersHaveLogs(process)) return;
    this.#world.counts.restores++;
    process.crash(downMs);
    backup.hadLog ||= process.disk.hadLog;
    process.replaceDisk(backup);
  }

  #wipe(process: RegionProcess, { withFolder, downMs }: Of<'wipe'>): void {
    if (!this.#isWhole(process) || !this.#othersHaveLogs(process) || !process.disk.hadLog) return;
    this.#world.counts.wipes++;
    process.crash(downMs);
    process.replaceDisk(emptyDisk(process.region, !withFolder));
  }

  /** One record of a disk cannot be read any more. */
  #damage(process: RegionProcess, { downMs }: Of<'damage'>): void {
    if (!this.#isWhole(process) || !this.#othersHaveLogs(process)) return;
    const keys = [...process.disk.records.keys()].filter((key) => process.disk.records.get(key)?.record.entry);
    if (keys.length === 0) return;
    const { counts, oracle } = this.#world;
    counts['damaged records']++;
    process.crash(downMs);
    const key = this.#chance.pick(keys);
    const lost = [...oracle.writes.ofKey(key)].map(({ id }) => id);
    process.replaceDisk(process.disk.damaged(key, process.store.lacking(lost)));
  }

  #clone(process: RegionProcess, disk: VirtualDisk, keepsFirst: boolean): void {
    const world = this.#world;
    if (this.departing !== undefined) return;
    world.counts.clones++;
    const wall = process.wall.copy(world.heap.nowMs);
    const twin = world.add(`${process.region}*`, process.region, disk, wall, world.processes.length);
    world.mayAnswer(twin);
    this.departing = keepsFirst ? twin : process;
  }

  /** An operator takes a region out, and perhaps in again. */
  #remove({ addedAfterMs }: Of<'remove'>): void {
    const { heap, oracle } = this.#world;
    const region = this.#chance.pick(this.#world.options.regions);
    if (this.departing?.region === region || !oracle.members.has(region)) return;
    this.#removal = region;
    this.#command(region, 'remove', () => {
      if (addedAfterMs === undefined) return;
      this.awaitsAddition = region;
      heap.after(addedAfterMs, () => this.#add(region));
    });
  }

  #add(region: string): void {
    const { heap } = this.#world;
    let isDone = false;
    const again = () => {
      if (isDone) return;
      this.#command(region, 'add', () => {
        isDone = true;
        this.awaitsAddition = undefined;
      });
      heap.after(COMMAND_RETRY_MS, again);
    };
    again();
  }

  #command(region: string, action: 'add' | 'remove', done: () => void): void {
    const world = this.#world;
    const operators = world.members().filter((process) => process.region !== region && !process.isFrozen);
    if (operators.length === 0) return;
    const process = this.#chance.pick(operators);
    this.#commanded.add(process.region);
    const command = { region, action };
    const fact = world.oracle.asked({
      key: `member/${region}`,
      region: process.region,
      value: '',
      isSystem: true,
      command,
      history: undefined,
    });
    const isDone = (output: Output) => output.kind === 'written' && (output.written.changed || fact.isDurable);
    const input = { kind: 'member' as const, id: world.nextId(), region, action };
    process.write(input, { fact, done: (output) => void (isDone(output) && done()) });
  }

  #isWhole(process: RegionProcess): boolean {
    const { oracle } = this.#world;
    return (
      process.isUp &&
      process.region !== this.#removal &&
      !this.#commanded.has(process.region) &&
      oracle.members.has(process.region) &&
      this.departing?.region !== process.region
    );
  }

  #othersHaveLogs(process: RegionProcess): boolean {
    const others = this.#world.members().filter((other) => other.region !== process.region);
    return others.length > 0 && others.every(({ machine, disk }) => !machine.isRecovering && disk.hadLog);
  }
}
