import type {
  Delta,
  FetchAnswer,
  FetchRequest,
  Input,
  Output,
} from '../../../services/sync/src/replication/protocol.ts';
import type { Counts } from '../counters.ts';
import type { CrashPoint, SimulationOptions } from '../options.ts';
import type { ClockFacts } from '../oracle/clock-checks.ts';
import type { IdSet } from '../oracle/id-set.ts';
import type { Oracle } from '../oracle/oracle.ts';
import type { StoreFacts } from '../oracle/store-facts.ts';
import type { Trace } from '../trace.ts';
import type { Chance } from './chance.ts';
import type { EventHeap } from './event-heap.ts';
import type { Network } from './network.ts';
import type { VirtualDisk } from './virtual-disk.ts';

/** Whoever a message reaches. */
export interface Addressee {
  readonly region: string;
  step(input: Input): void;
  /** `reply` also hears what the answerer's clock covered. */
  ask(request: FetchRequest, reply: (answer: FetchAnswer, covered: IdSet) => void): void;
}

/** A process, as its parts see it. */
export interface Host extends Addressee {
  readonly name: string;
  /** Counts its starts. */
  readonly life: number;
  readonly lifeName: string;
  readonly wallMs: number;
  readonly disk: VirtualDisk;
  readonly diskMs: number;
  readonly store: StoreFacts;
  readonly clock: ClockFacts;
  readonly world: Surroundings;
  whenAwake(act: () => void, life?: number): void;
  /** @returns whether the process has just died there */
  dies(point: CrashPoint): boolean;
}

/** Somebody whose store has changed, or who is new. */
export interface Answerer {
  readonly region: string;
  /** What it can answer with. */
  readonly shown: IdSet;
}

/** What a process can reach. */
export interface Surroundings {
  readonly options: SimulationOptions;
  readonly heap: EventHeap;
  readonly chance: Chance;
  readonly counts: Counts;
  readonly trace: Trace;
  readonly network: Network;
  readonly oracle: Oracle;
  mayAnswer(process: Answerer): void;
  /** Clocks are right and no store is lost or doubled: wall times mean something. */
  readonly tellsTime: boolean;
  /** Changes of any disk. */
  appends: number;
  /** Entries in answers. */
  fetchedEntries: number;
  /** What the stores of all other regions hold, members or not. */
  heldByOthers(region: string): IdSet[];
  nextId(): number;
  /** To whichever process answers for the region. */
  deliver(region: string, act: (process: Addressee) => void): void;
  published(origin: string, delta: Delta): void;
  alarmed(name: string, alarm: Extract<Output, { kind: 'alarm' }>): void;
  refused(reason: string): void;
  wipedForRejoining(region: string, name: string, generation: number): void;
}
