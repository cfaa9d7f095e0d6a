import { type Dot, formatDot, VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import { seededRandom } from '@meridian/runtime';
import { FETCH_BYTES_MAX } from './fetch-schedule.ts';
import type { Change, FetchAnswer, FetchRequest, Input, LogRecord, Output } from './protocol.ts';
import { recoverLog } from './state-log.ts';
import { StateMachine } from './state-machine.ts';

/**
 * Several state machines on a virtual network, virtual disks and virtual time, and an oracle of explicit causal
 * histories that knows nothing of vectors: a write's history is what its writer had read, and what those had read.
 */
export const REGIONS = ['beijing', 'shanghai', 'guangzhou'] as const;
export const FETCH_INTERVAL_MS = 10_000;
const DRIFT_MAX_MS = 500;

interface Message {
  readonly from: string;
  readonly to: string;
  readonly arrive: () => void;
  /** Of a question or answer: the asker's time runs out. Such a message cannot come twice. */
  readonly lost?: () => void;
}

interface Write {
  readonly key: string;
  readonly history: ReadonlySet<number>;
}

export class Cluster {
  readonly nodes = new Map<string, Node>();
  readonly messages: Message[] = [];
  readonly writes = new Map<number, Write>();
  /** Dots of stored events, with the write that they are. */
  readonly stored = new Map<string, number>();
  readonly alarms: string[] = [];
  readonly #cuts = new Set<string>();
  nowMs = 1_000_000;
  nextId = 1;

  constructor(seed: number, regions: readonly string[] = REGIONS) {
    for (const [i, region] of regions.entries()) {
      const members = regions.filter((other) => other !== region);
      this.nodes.set(region, new Node(this, region, members, seed * 100 + i));
    }
  }

  node(region: string): Node {
    return this.nodes.get(region) as Node;
  }

  cut(a: string, b: string): void {
    this.#cuts.add(`${a} ${b}`).add(`${b} ${a}`);
  }

  heal(): void {
    this.#cuts.clear();
  }

  send(message: Message): void {
    if (this.#cuts.has(`${message.from} ${message.to}`)) message.lost?.();
    else this.messages.push(message);
  }

  deliver(index: number, how: 'once' | 'twice' | 'never'): void {
    const [message] = this.messages.splice(index % Math.max(1, this.messages.length), 1);
    if (message === undefined) return;
    if (how === 'never') message.lost?.();
    else message.arrive();
    if (how === 'twice' && message.lost === undefined) message.arrive();
  }

  advance(ms: number): void {
    this.nowMs += ms;
    for (const node of this.nodes.values()) node.step({ kind: 'tick' });
  }

  /** Everything arrives and every disk works, until nothing moves any more for two rounds. */
  settle(): void {
    for (let round = 0; round < 6; round++) {
      this.advance(FETCH_INTERVAL_MS);
      for (let turns = 0; this.messages.length > 0 || [...this.nodes.values()].some((node) => node.flush()); turns++) {
        if (turns > 100_000) throw new Error('the cluster does not come to rest');
        while (this.messages.length > 0) this.deliver(0, 'once');
      }
    }
  }

  /** Writes that are in no other stored write's history: what must be left of the key. */
  expectedSiblings(key: string): number[] {
    const ids = [...new Set(this.stored.values())].filter((id) => this.writes.get(id)?.key === key);
    return ids.filter((id) => !ids.some((other) => this.writes.get(other)?.history.has(id))).sort((a, b) => a - b);
  }

  siblings(entry: Entry | undefined): number[] {
    const ids = (entry?.versions ?? []).map(({ dot }) => this.stored.get(formatDot(dot)) ?? 0);
    return ids.sort((a, b) => a - b);
  }
}

/** One region: its machine, its disk, and what its driver would keep. */
export class Node {
  readonly region: string;
  readonly disk = new Map<string, { readonly record: LogRecord; readonly sequence: number }>();
  machine: StateMachine;
  /** Appends that the disk has not taken yet. */
  readonly appends: Extract<Output, { kind: 'append' }>[] = [];
  readonly acknowledged: number[] = [];
  appended = 0;
  readonly #cluster: Cluster;
  readonly #members: readonly string[];
  readonly #seed: number;
  #lives = 0;
  #sequence = 0;
  readonly #asking = new Map<string, number>();

  constructor(cluster: Cluster, region: string, members: readonly string[], seed: number) {
    this.#cluster = cluster;
    this.region = region;
    this.#members = members;
    this.#seed = seed;
    this.machine = this.#start();
  }

  step(input: Input): void {
    for (const output of this.machine.step([input], this.#now())) this.#do(output);
  }

  /** A client reads the key and writes on top of what it read. */
  write(key: string, value: Uint8Array | undefined): number {
    const id = this.#cluster.nextId++;
    const entry = this.machine.view.get(key);
    const read = this.#cluster.siblings(entry);
    const history = new Set(read.flatMap((other) => [other, ...(this.#cluster.writes.get(other)?.history ?? [])]));
    this.#cluster.writes.set(id, { key, history });
    const change: Change = { key, value, when: 'differs', seen: entry?.context ?? VersionVector.EMPTY };
    this.step({ kind: 'write', id, change });
    return id;
  }

  /** The disk takes one append, not always the first. */
  store(index: number): void {
    const [append] = this.appends.splice(index % Math.max(1, this.appends.length), 1);
    if (append === undefined) return;
    this.#persist(append);
    this.step({ kind: 'appended', id: append.id, sequence: this.#sequence });
  }

  /** @returns whether something was stored */
  flush(): boolean {
    const any = this.appends.length > 0;
    while (this.appends.length > 0) this.store(0);
    return any;
  }

  /** The process dies; of the appends under way the disk took the first few. */
  restart(taken: number): void {
    for (const append of this.appends.splice(0, this.appends.length).slice(0, taken)) this.#persist(append);
    this.#asking.clear();
    this.machine = this.#start();
  }

  #start(): StateMachine {
    const log = recoverLog({ records: [...this.disk.values()], unreadable: new Map(), isComplete: true });
    const random = seededRandom(this.#seed * 1000 + this.#lives++);
    const options = { region: this.region, members: this.#members, random };
    // Every other cluster with pages of one entry: then a round has as many steps as there are keys.
    const fetchBytesMax = Math.floor(this.#seed / 100) % 2 === 0 ? 1 : FETCH_BYTES_MAX;
    const hadLog = this.#sequence > 0;
    const limits = {
      fetchIntervalMs: FETCH_INTERVAL_MS,
      headIntervalMs: 1_000,
      hadLog,
      driftMaxMs: DRIFT_MAX_MS,
      fetchBytesMax,
    };
    return new StateMachine({ ...options, ...limits }, log, this.#now());
  }

  #persist(append: Extract<Output, { kind: 'append' }>): void {
    const { record, expectedSequence, write } = append;
    const { key, entry } = record;
    if ((this.disk.get(key)?.sequence ?? 0) !== expectedSequence) throw new Error(`${key}: wrong sequence`);
    this.disk.set(key, { record, sequence: ++this.#sequence });
    this.appended++;
    if (write === undefined) return;
    const own = entry?.versions.find(({ dot }) => isSameDot(dot, record.lineage as Dot));
    if (own === undefined) throw new Error(`${key}: the record lacks its own event`);
    const dot = formatDot(own.dot);
    if (this.#cluster.stored.has(dot)) throw new Error(`${dot} is used twice`);
    this.#cluster.stored.set(dot, write);
  }

  #do(output: Output): void {
    const cluster = this.#cluster;
    if (output.kind === 'append') this.appends.push(output);
    else if (output.kind === 'written' && output.written.changed) this.acknowledged.push(output.id);
    else if (output.kind === 'alarm') cluster.alarms.push(output.reason);
    else if (output.kind === 'fetch') this.#ask(output.peer, output.request);
    else if (output.kind === 'forget') this.#forget(output);
    else if (output.kind === 'head')
      for (const to of this.#members) {
        const arrive = () => cluster.node(to).step({ kind: 'head', origin: this.region, head: output.head });
        cluster.send({ from: this.region, to, arrive });
      }
    else if (output.kind === 'publish')
      for (const to of this.#members) {
        const arrive = () => cluster.node(to).step({ kind: 'delta', origin: this.region, delta: output.delta });
        cluster.send({ from: this.region, to, arrive });
      }
  }

  #forget({ id, key, sequence }: Extract<Output, { kind: 'forget' }>): void {
    if ((this.disk.get(key)?.sequence ?? 0) <= sequence) this.disk.delete(key);
    this.step({ kind: 'forgotten', id });
  }

  #ask(peer: string, request: FetchRequest): void {
    const cluster = this.#cluster;
    const question = cluster.nextId++;
    if (request.keys.length === 0) this.#asking.set(peer, question);
    // Late answers, and answers to an earlier life, find nobody who waits for them.
    const ifAwaited = (then: () => void) => () => {
      if (this.#asking.get(peer) !== question) return;
      this.#asking.delete(peer);
      then();
    };
    const lost = ifAwaited(() => this.step({ kind: 'fetch-failed', peer, request }));
    const arrive = () => {
      const answer = cluster.node(peer).answer(question, request);
      const back = ifAwaited(() => this.step({ kind: 'fetched', peer, request, answer }));
      cluster.send({ from: peer, to: this.region, arrive: back, lost });
    };
    cluster.send({ from: this.region, to: peer, arrive, lost });
  }

  answer(id: number, request: FetchRequest): FetchAnswer {
    let found: FetchAnswer | undefined;
    for (const output of this.machine.step([{ kind: 'asked', id, request }], this.#now())) {
      if (output.kind === 'answer') found = output.answer;
      else this.#do(output);
    }
    if (found === undefined) throw new Error('a question was not answered');
    return found;
  }

  #now() {
    return { wallMs: this.#cluster.nowMs, monotonicMs: this.#cluster.nowMs };
  }
}

function isSameDot(a: Dot, b: Dot): boolean {
  return a.actor === b.actor && a.counter === b.counter;
}
