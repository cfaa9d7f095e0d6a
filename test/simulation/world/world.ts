import { TIMESTAMP_ZERO, VersionVector } from '@meridian/causality';
import {
  type AlarmReason,
  type Delta,
  META_KEY,
  type Output,
} from '../../../services/sync/src/replication/protocol.ts';
import { type Counts, noCounts } from '../counters.ts';
import type { SimulationOptions } from '../options.ts';
import type { IdSet } from '../oracle/id-set.ts';
import { Oracle } from '../oracle/oracle.ts';
import { Trace } from '../trace.ts';
import { Violation } from '../violation.ts';
import { Chance } from './chance.ts';
import { EventHeap } from './event-heap.ts';
import { Network } from './network.ts';
import { RegionProcess } from './region-process.ts';
import type { Answerer, Surroundings } from './surroundings.ts';
import { emptyDisk, type VirtualDisk } from './virtual-disk.ts';
import { WallClock } from './wall-clock.ts';

const PUBLISHED_MAX = 40;

/** All regions of a run, what lies between them, and who judges it. */
export class World implements Surroundings {
  readonly options: SimulationOptions;
  readonly heap = new EventHeap();
  readonly chance: Chance;
  readonly counts: Counts = noCounts();
  readonly trace: Trace;
  readonly network: Network;
  readonly oracle: Oracle;
  /** A cloned region has two. */
  readonly processes: RegionProcess[] = [];
  readonly tellsTime: boolean;
  readonly alarms = new Set<AlarmReason>();
  readonly refusals = new Map<string, number>();
  /** Some of the deltas of the run, to come again when everybody has forgotten them. */
  readonly published: (origin: string, delta: Delta) => void;
  readonly oldDeltas: { readonly origin: string; readonly delta: Delta }[] = [];
  /** Changes of any disk; entries in deltas and in answers. */
  appends = 0;
  publishedEntries = 0;
  fetchedEntries = 0;
  /** A region that was taken out and came back has begun anew. */
  readonly rejoined = new Set<string>();
  /** A record has vanished from a disk, and nobody was told. */
  hasRotted = false;
  #id = 0;

  constructor(options: SimulationOptions, traceLinesMax: number) {
    this.options = options;
    this.chance = new Chance(options.seed, 1);
    this.trace = new Trace(traceLinesMax);
    this.network = new Network(this.heap, new Chance(options.seed, 2), options);
    this.oracle = new Oracle(options.regions, this.counts);
    const untimely = ['clone', 'restore', 'wipe', 'damage', 'remove', 'jump'];
    this.tellsTime =
      options.clockOffsetsMs.every((offsetMs) => offsetMs === 0) &&
      !options.faults.some(({ kind }) => untimely.includes(kind));
    const sample = new Chance(options.seed, 3);
    this.published = (origin, delta) => {
      this.publishedEntries += delta.entries.length;
      if (this.oldDeltas.length < PUBLISHED_MAX) this.oldDeltas.push({ origin, delta });
      else if (sample.happens(0.3)) this.oldDeltas[sample.int(PUBLISHED_MAX)] = { origin, delta };
    };
    for (const [i, region] of options.regions.entries())
      this.add(region, region, emptyDisk(region, false), new WallClock(options.clockOffsetsMs[i] ?? 0), i);
  }

  add(name: string, region: string, disk: VirtualDisk, wall: WallClock, index: number): RegionProcess {
    const diskMs = this.options.diskMs[index % this.options.diskMs.length] ?? 1;
    const process = new RegionProcess(this, { name, region, disk, wall, diskMs, stream: 100 + index });
    this.processes.push(process);
    if (this.oracle.members.has(region)) this.oracle.losses.joined(disk.facts);
    process.start();
    return process;
  }

  heldByOthers(region: string): IdSet[] {
    const others = this.processes.filter((process) => process.region !== region && !process.isRetired);
    return others.map((process) => process.shown);
  }

  /** Whoever recovers may be answered by this process, with what it has now. */
  mayAnswer(process: Answerer): void {
    for (const other of this.processes) other.mayBeAnsweredBy(process);
  }

  nextId(): number {
    return ++this.#id;
  }

  /** To whichever process answers for the region. */
  deliver(region: string, act: (process: RegionProcess) => void): void {
    const candidates = this.processes.filter((process) => process.region === region && process.isUp);
    const [first] = candidates;
    if (first === undefined) return;
    const process = candidates.length === 1 ? first : this.chance.pick(candidates);
    process.whenAwake(() => act(process));
  }

  /** Members that work. */
  members(): RegionProcess[] {
    return this.processes.filter(({ region, isUp }) => isUp && this.oracle.members.has(region));
  }

  refused(reason: string): void {
    this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1);
  }

  alarmed(name: string, { reason, detail }: Extract<Output, { kind: 'alarm' }>): void {
    this.alarms.add(reason);
    const kinds = new Set(this.options.faults.map(({ kind }) => kind));
    const may = (...among: readonly string[]) => among.some((kind) => kinds.has(kind as 'clone'));
    const isWrong = this.options.clockOffsetsMs.some((offsetMs) => offsetMs !== 0) || may('jump');
    const explained: Readonly<Record<AlarmReason, boolean>> = {
      // A process that was frozen hears long after the end of a life what it had said.
      CLONED: may('clone', 'freeze'),
      WENT_BACK: may('clone', 'restore', 'wipe', 'damage') || this.counts['torn tails'] > 0 || this.hasRotted,
      FAR_FUTURE: isWrong,
      NOT_A_MEMBER: may('remove'),
      REMOVED: may('remove'),
      DOT_REUSED: false,
      VECTOR_FULL: false,
      ENTRY_TOO_LARGE: false,
      STATE_FULL: false,
      DIGEST_DIFFERS: this.hasRotted,
    };
    if (!explained[reason]) throw new Violation('false alarm', `${name}: ${reason}: ${detail}`);
  }

  /** The machine has learnt that its region was added again: it begins anew. */
  wipedForRejoining(region: string, name: string, generation: number): void {
    const process = this.processes.find((other) => other.name === name);
    process?.crash(50);
    const disk = emptyDisk(region, true);
    const meta = { collected: VersionVector.EMPTY, generation, distrustedUntil: 0 };
    const nothing = { lineage: { actor: undefined, counter: 0 }, clock: VersionVector.EMPTY, last: TIMESTAMP_ZERO };
    const record = { key: META_KEY, meta, ...nothing };
    disk.append({ id: 0, record, expectedSequence: 0 });
    process?.replaceDisk(disk);
    this.rejoined.add(region);
    this.counts['re-adds']++;
  }
}
