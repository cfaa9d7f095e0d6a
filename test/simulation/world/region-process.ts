import type {
  Append,
  Event,
  FetchAnswer,
  FetchRequest,
  Head,
  Input,
  Now,
  Output,
} from '../../../services/sync/src/replication/protocol.ts';
import { recoverLog } from '../../../services/sync/src/replication/state-log.ts';
import { StateMachine } from '../../../services/sync/src/replication/state-machine.ts';
import type { Counter } from '../counters.ts';
import { type CrashPoint, DRIFT_MS, FETCH_INTERVAL_MS, FETCH_TIMEOUT_MS } from '../options.ts';
import { ClockFacts } from '../oracle/clock-checks.ts';
import type { IdSet } from '../oracle/id-set.ts';
import type { Author } from '../oracle/record-checks.ts';
import { Violation } from '../violation.ts';
import { Chance } from './chance.ts';
import { describeInput, describeOutput } from './describe.ts';
import { DiskQueue } from './disk-queue.ts';
import { Outbox } from './outbox.ts';
import { type AskedWrite, Replies } from './replies.ts';
import type { Answerer, Host, Surroundings } from './surroundings.ts';
import type { VirtualDisk } from './virtual-disk.ts';
import type { WallClock } from './wall-clock.ts';

const COUNTED: Partial<Record<Event, Counter>> = {
  held: 'held timestamps',
  'epoch-opened': 'new epochs',
};

/**
 * A process that runs the state machine of a region, its disk, and everything that happens to it.
 *
 * 1. Nothing reaches the machine while it is down or frozen, and nothing of an earlier life reaches a later one.
 * 2. The oracle sees every output before the world does.
 */
export class RegionProcess implements Host {
  readonly name: string;
  readonly region: string;
  readonly wall: WallClock;
  readonly world: Surroundings;
  readonly #outbox: Outbox;
  readonly #random: Chance;
  diskMs: number;
  disk: VirtualDisk;
  clock = new ClockFacts();
  life = 0;
  /** What reaches it while it is frozen, in order. */
  readonly #asleep = new Set<() => void>();
  #frozenUntilMs = 0;
  /** Where it will die, and for how long. */
  armed: { readonly point: CrashPoint; count: number; readonly downMs: number } | undefined;
  /** A machine that does not come up again. */
  isRetired = false;
  #machine: StateMachine | undefined;
  #author: Author | undefined;
  #startedAtMs = 0;
  /** What others had when this life began without the log that there had been. */
  #owed: readonly IdSet[] = [];
  /** By the own wall clock, at its lowest since it first got any of that. */
  #offeredAtMs = Number.POSITIVE_INFINITY;
  readonly #disk: DiskQueue;
  readonly #replies: Replies;

  constructor(
    world: Surroundings,
    options: { name: string; region: string; disk: VirtualDisk; wall: WallClock; diskMs: number; stream: number },
  ) {
    this.world = world;
    this.name = options.name;
    this.region = options.region;
    this.disk = options.disk;
    this.wall = options.wall;
    this.diskMs = options.diskMs;
    this.#random = new Chance(world.options.seed, options.stream);
    this.#outbox = new Outbox(this);
    this.#disk = new DiskQueue(this);
    this.#replies = new Replies(this);
  }

  get isUp(): boolean {
    return this.#machine !== undefined;
  }

  get machine(): StateMachine {
    if (this.#machine === undefined) throw new Error(`${this.name} is down`);
    return this.#machine;
  }

  get store() {
    return this.disk.facts;
  }

  get wallMs(): number {
    return this.wall.wallMs(this.world.heap.nowMs);
  }

  get isFrozen(): boolean {
    return this.#frozenUntilMs > this.world.heap.nowMs;
  }

  get lifeName(): string {
    return `${this.name}/${this.life}`;
  }

  /** What it can answer with: of what its disk is taking it says nothing yet. */
  get shown(): IdSet {
    if (this.#machine !== undefined) return this.clock.covered.copy();
    const left = this.store.copy();
    left.lifeBegins(this.disk.unreadable.size === 0);
    return left.known;
  }

  /** Another process answers under the name of a region that this one asks: it may be the one that does. */
  mayBeAnsweredBy({ region, shown }: Answerer): void {
    if (this.#owed.length > 0 && region !== this.region) this.#owed = [...this.#owed, shown];
  }

  start(): void {
    if (this.#machine !== undefined) return;
    const { options, heap, trace } = this.world;
    const life = ++this.life;
    this.clock = new ClockFacts();
    this.store.lifeBegins(this.disk.unreadable.size === 0);
    this.#startedAtMs = heap.nowMs;
    const commandFor = (key: string) => this.#replies.commandFor(key);
    const { hadLog, isReplaced } = this.disk;
    const hasLostLog = isReplaced || (hadLog && this.disk.records.size === 0);
    this.#owed = hasLostLog ? this.world.heldByOthers(this.region) : [];
    this.#offeredAtMs = Number.POSITIVE_INFINITY;
    if (this.disk.unreadable.size > 0) this.world.oracle.distrusted(this.store, this.disk.records);
    this.#author = { region: this.region, life: this.lifeName, wall: this.wall, named: new Map(), commandFor };
    const { records, unreadable } = this.disk;
    const log = recoverLog({ records: [...records.values()], unreadable, isComplete: unreadable.size === 0 });
    trace.add(heap.nowMs, this.name, `starts life ${life}, ${this.disk.records.size} records`);
    const members = options.regions.filter((other) => other !== this.region);
    const { headIntervalMs, fetchBytesMax } = options;
    const limits = { fetchIntervalMs: FETCH_INTERVAL_MS, headIntervalMs, driftMaxMs: DRIFT_MS };
    const given = { region: this.region, members, random: new Chance(this.#random.int(2 ** 30), life) };
    const pages = fetchBytesMax === undefined ? {} : { fetchBytesMax };
    this.#machine = new StateMachine({ ...given, ...limits, ...pages, hadLog, isReplaced }, log, this.#now());
    this.#expectSoundClock();
    this.#tick(life);
  }

  step(input: Input): void {
    const { trace, heap } = this.world;
    if (this.#machine === undefined) return;
    trace.add(heap.nowMs, this.name, describeInput(input));
    const outputs = this.#stepped(this.#machine, input);
    if (!this.#machine.isRecovering) this.disk.isReplaced = false;
    this.#expectSoundClock();
    this.#expectResynced(input);
    if (input.kind === 'appended' && this.dies('append-told')) return;
    const life = this.life;
    for (const output of outputs) {
      if (this.life !== life || this.#machine === undefined) return;
      trace.add(heap.nowMs, this.name, describeOutput(output));
      this.#carryOut(output);
    }
  }

  /** Does it now, or once the process is no longer frozen; never if it has died by then. */
  whenAwake(act: () => void, life = this.life): void {
    if (this.life !== life || this.#machine === undefined) return;
    const { heap } = this.world;
    if (!this.isFrozen) {
      act();
      return;
    }
    const awake = () => {
      if (this.#asleep.delete(awake)) this.whenAwake(act, life);
    };
    this.#asleep.add(awake);
    heap.after(this.#frozenUntilMs - heap.nowMs, awake);
  }

  freeze(forMs: number): void {
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.world.heap.nowMs + forMs);
  }

  /** Goes on now, with all that has reached it meanwhile. */
  thaw(): void {
    this.#frozenUntilMs = this.world.heap.nowMs;
    for (const awake of [...this.#asleep]) awake();
  }

  write(input: Extract<Input, { kind: 'write' | 'member' }>, write: AskedWrite): void {
    this.#replies.expectWrite(input.id, write);
    this.step(input);
  }

  ask(request: FetchRequest, reply: (answer: FetchAnswer, covered: IdSet) => void): void {
    const id = this.world.nextId();
    this.#replies.expectAnswer(id, reply);
    this.step({ kind: 'asked', id, request });
  }

  /** Of what the disk was asked to take, it has taken some. */
  crash(downMs: number): void {
    const { trace, heap, oracle } = this.world;
    if (this.#machine === undefined) return;
    trace.add(heap.nowMs, this.name, 'dies');
    this.#machine = undefined;
    this.armed = undefined;
    this.#disk.cutShort();
    this.#replies.clear();
    this.#outbox.clear();
    oracle.lives.ended(this.lifeName);
    heap.after(downMs, () => {
      if (!this.isRetired) this.start();
    });
  }

  /** @returns whether the process has just died there */
  dies(point: CrashPoint): boolean {
    const { armed, world } = this;
    if (armed === undefined || armed.point !== point || --armed.count > 0) return false;
    world.counts[`crashes ${point}`]++;
    this.crash(armed.downMs);
    return true;
  }

  replaceDisk(disk: VirtualDisk): void {
    const { losses, members } = this.world.oracle;
    losses.left(this.store);
    this.disk = disk;
    if (members.has(this.region)) losses.joined(disk.facts);
    this.world.mayAnswer(this);
  }

  #stepped(machine: StateMachine, input: Input): readonly Output[] {
    try {
      return machine.step([input], this.#now());
    } catch (error) {
      if (error instanceof Violation) throw error;
      throw new Violation(
        'no crash',
        `${this.name} at ${describeInput(input)}: ${error instanceof Error ? error.stack : error}`,
      );
    }
  }

  #carryOut(output: Output): void {
    if (output.kind === 'append') this.#append(output);
    else if (output.kind === 'forget') this.#disk.forget(output);
    else if (output.kind === 'written' || output.kind === 'refused') this.#replies.reply(output);
    else if (output.kind === 'answer') this.#replies.answer(output.id, output.answer);
    else if (output.kind === 'wipe') this.world.wipedForRejoining(this.region, this.name, output.generation);
    else if (output.kind === 'alarm') this.#alarm(output);
    else if (output.kind === 'head') this.#head(output.head);
    else if (output.kind === 'publish') this.#publish(output);
    else if (output.kind === 'fetch') this.#outbox.fetch(output.peer, output.request, FETCH_TIMEOUT_MS);
    else if (output.kind === 'event') this.#note(output.event, output.peer);
  }

  #alarm(alarm: Extract<Output, { kind: 'alarm' }>): void {
    this.world.alarmed(this.name, alarm);
    // What a stranger wrote is left out of the round.
    if (alarm.reason === 'NOT_A_MEMBER') this.#outbox.noticed('held', alarm.peer);
  }

  #note(event: Event, peer: string): void {
    const counter = COUNTED[event];
    if (counter !== undefined) this.world.counts[counter]++;
    this.#outbox.noticed(event, peer);
  }

  #head(head: Head): void {
    const { oracle, heap } = this.world;
    oracle.clocks.expectStored(head.vector, this.clock, this.store, `${this.name}, head`);
    if (this.machine.isIdle) oracle.digested(this.machine.vector, head.digest, `${this.name} at ${heap.nowMs}`);
    if (this.world.tellsTime) oracle.expectKnownUntil(head.knownUntilMs, this.store, this.name);
    this.#outbox.head(head);
  }

  #append(append: Append): void {
    const { oracle, heap } = this.world;
    const asked = this.#replies.factOf(append.write);
    if (this.#author !== undefined) oracle.issued(append, asked, this.#author, this.store, heap.nowMs);
    this.#disk.append(append);
  }

  #publish({ delta }: Extract<Output, { kind: 'publish' }>): void {
    const { oracle } = this.world;
    oracle.told(delta.entries, this.store, `${this.name}, delta`);
    oracle.clocks.expectStored(delta.to, this.clock, this.store, `${this.name}, delta`);
    if (this.dies('before-publish')) return;
    const life = this.life;
    this.#outbox.publish(delta, () => this.dies('amid-publish') || this.life !== life);
  }

  /** S24: when it takes writes again it has back what somebody whom it asked had. */
  #expectResynced(input: Input): void {
    if (this.#owed.length === 0 || this.#machine === undefined) return;
    if (input.kind === 'fetched') this.#offeredAtMs = Math.min(this.#offeredAtMs, this.wallMs);
    if (this.#machine.isRecovering) return;
    this.world.oracle.expectResynced(this.#owed, this.store, Math.min(this.#offeredAtMs, this.wallMs), this.name);
    this.#owed = [];
  }

  #expectSoundClock(): void {
    if (this.#machine === undefined) return;
    this.world.oracle.clocks.expectSound(this.#machine.vector, this.clock, this.store, this.name);
  }

  #tick(life: number): void {
    const { heap, options } = this.world;
    heap.after(options.tickMs, () => {
      if (this.life !== life || this.#machine === undefined) return;
      if (!this.isFrozen) this.step({ kind: 'tick' });
      this.#tick(life);
    });
  }

  #now(): Now {
    const { nowMs } = this.world.heap;
    return { wallMs: this.wall.wallMs(nowMs), monotonicMs: Math.floor(nowMs - this.#startedAtMs) };
  }
}
