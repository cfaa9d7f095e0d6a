import { expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { type Entry, tenantKey } from '@meridian/replica';
import { encodeTenant, type Places, type ResidencyRule } from '@meridian/residency';
import fc from 'fast-check';
import { RegionView } from '../placement/region-view.ts';
import { askedRules, Residency } from '../placement/residency.ts';
import { Dispatcher } from './dispatcher.ts';
import type { StreamRef } from './ports.ts';
import { aTask, aWork, failed, GOOD, RecordingPorts, TIMES } from './task.builders.ts';
import { openAttempt, type Task } from './task.ts';
import { TASK_LIMITS } from './transition.ts';

/**
 * Goal: no claim and no picture in a region that the rules do not allow at that moment, whatever fails, whatever changes.
 * Method: the real dispatcher, decisions and rules, on random topologies, under random rules of tenants and works, records
 * that change, vanish or cannot be read, lost workers, silent and removed regions, models that come and go, hedges. What is
 * allowed is judged by the definition, written anew here, at each publish and each picture.
 */
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
const ZONES = ['x', 'y', 'z'] as const;
const TENANTS = ['public', 'acme', 'other'] as const;
const ACTOR = actorId('a', 1n);
const UNREADABLE = 'unreadable';
/** Hedges need a percentile of the times of calls. */
const WARM_CALLS = 205;
/** Of the last claims: what comes back is about one of these. */
const ANSWERED = 10;

type Record_ = ResidencyRule | typeof UNREADABLE | undefined;

const places: fc.Arbitrary<Places> = fc
  .record({ regions: fc.subarray([...NAMES]), zones: fc.subarray([...ZONES]) })
  .filter(({ regions, zones }) => regions.length + zones.length > 0);
const few = places.filter(({ regions, zones }) => regions.length + zones.length <= 2);
const rule: fc.Arbitrary<ResidencyRule> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({}) },
  { weight: 3, arbitrary: fc.record({ never: few, prefer: places }, { requiredKeys: [] }) },
  { weight: 1, arbitrary: fc.record({ only: places, never: few, prefer: places }, { requiredKeys: [] }) },
);
const record: fc.Arbitrary<Record_> = fc.oneof(
  { weight: 6, arbitrary: rule },
  { weight: 1, arbitrary: fc.constantFrom(UNREADABLE, undefined) },
);
const index = fc.nat(1_000);
const op = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('job'), tenant: fc.nat(2), rule, tasks: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('call'), tenant: fc.nat(2), rule }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('agree'), tenant: fc.nat(2), record }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('announce', 'good', 'bad', 'return', 'no-ack'), index }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('wait'), ms: fc.constantFrom(10, 120, 700, 3_000) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('lose', 'silence', 'speak', 'remove', 'add', 'unload'), index }),
  },
);
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;
const topology = fc.array(fc.nat(2), { minLength: 2, maxLength: NAMES.length });

test('no rule is broken by any placement, hedge, re-placement or picture', () => {
  const counts = { claims: 0, again: 0, hedges: 0, pictures: 0, taken: 0, waiting: 0 };
  fc.assert(
    fc.property(topology, fc.array(op, { minLength: 20, maxLength: 80 }), (zones, ops) => {
      const world = new World(zones, counts);
      for (const one of ops) world.perform(one as Op);
      world.finish();
    }),
    { numRuns: 400, seed: 20_261_201 },
  );
  // The run means something only if it went through all of this.
  for (const [what, count] of Object.entries(counts)) expect([what, count > 20]).toEqual([what, true]);
});

interface Counts {
  claims: number;
  again: number;
  hedges: number;
  pictures: number;
  taken: number;
  waiting: number;
}

class World {
  readonly #regions: { name: string; zone: string; grpcAddress: string }[];
  readonly #views: Map<string, RegionView>;
  readonly #records = new Map<string, Record_>();
  readonly #entries = new Map<string, Entry>();
  readonly #silent = new Set<string>();
  readonly #removed = new Set<string>();
  readonly #unloaded = new Set<string>();
  readonly #asked = new Map<string, ResidencyRule>();
  readonly #ports: CheckedPorts;
  readonly #dispatcher: Dispatcher;
  readonly #counts: Counts;
  #nowMs = 0;
  #works = 0;
  #version = 0;

  constructor(zones: readonly number[], counts: Counts) {
    this.#counts = counts;
    this.#regions = zones.map((zone, i) => ({
      name: NAMES[i] as string,
      zone: ZONES[zone] as string,
      grpcAddress: 'x:1',
    }));
    this.#views = new Map(
      this.#regions.map(({ name, zone }, i) => {
        const facts = { name, zone, roundTripMs: 10 * i, bandwidthMbps: 1000, capacity: 1 };
        return [name, new RegionView(facts, { suspectMs: 1500, downMs: 5000 }, 0)];
      }),
    );
    for (const tenant of TENANTS) this.#agree(tenant, {});
    const residency = new Residency({
      ...{ region: 'a', regions: this.#regions, isCaughtUp: () => true },
      state: { get: (key) => this.#entries.get(key), missing: () => [] },
    });
    this.#ports = new CheckedPorts((task, region) => this.#require(task, region), counts);
    this.#dispatcher = new Dispatcher({
      ...{ term: 1, regions: this.#views, ports: this.#ports, taskLimits: TASK_LIMITS, windowPerRegion: 8, residency },
      attemptLimits: { announceTimeoutMs: 60_000, attemptTimeoutMs: 300_000, emptyGraceMs: 1000 },
      announceGraceMs: 1500,
      isRemoved: (region) => this.#removed.has(region),
      readyRegions: () => new Set(this.#regions.map(({ name }) => name).filter((name) => !this.#unloaded.has(name))),
    });
    for (const { name } of this.#regions) this.#dispatcher.streamStarted(streamOf(name));
    this.#warm();
  }

  perform(one: Op): void {
    switch (one.kind) {
      case 'job':
      case 'call':
        this.#add(one);
        break;
      case 'agree':
        if ('record' in one) this.#agree(TENANTS[one.tenant] as string, one.record);
        break;
      case 'wait':
        if ('ms' in one) this.#wait(one.ms);
        break;
      default:
        if ('index' in one) this.#happen(one.kind, one.index);
    }
    // What comes after a change may come before the next tick.
    if (one.kind !== 'agree') this.#round();
    this.#checkWanted();
  }

  /** Everything is well again, without anybody's rule: whatever waited for a place gets one, and nothing is lost. */
  finish(): void {
    this.#counts.waiting += this.#dispatcher.openTasks;
    for (const tenant of TENANTS) this.#agree(tenant, {});
    for (const set of [this.#silent, this.#removed, this.#unloaded]) set.clear();
    this.#wait(700);
    this.#round();
  }

  #round(): void {
    this.#hear();
    this.#dispatcher.tick(this.#nowMs);
    this.#dispatcher.round(this.#nowMs);
  }

  /** Pictures are read from the disk and sent after the announcement: the attempt is asked for again then. */
  #checkWanted(): void {
    for (const task of this.#ports.known()) {
      const now = this.#dispatcher.task(task.taskId);
      const attempt = now && openAttempt(now);
      const wanted = attempt && this.#dispatcher.wanted(task.taskId, attempt.fence);
      if (attempt !== undefined && wanted !== undefined) this.#require(task, attempt.region);
    }
  }

  #add(one: Op): void {
    if (!('tenant' in one) || !('rule' in one)) return;
    const key = `w${++this.#works}`;
    const asked = askedRules([{ of: 'the call', rule: one.rule }]);
    const isKnown = [one.rule.only, one.rule.never, one.rule.prefer].every(
      (part) => part === undefined || this.#exists(part),
    );
    if (!isKnown) return; // refused at the door
    const tenant = TENANTS[one.tenant] as string;
    const work = aWork({ key, jobId: one.kind === 'job' ? key : '', tenant, asked, deadlineMs: 1e9 });
    this.#asked.set(key, one.rule);
    const count = 'tasks' in one ? one.tasks : 1;
    this.#dispatcher.add(Array.from({ length: count }, (_, i) => aTask(work, i)));
  }

  #happen(kind: string, at: number): void {
    const region = this.#regions[at % this.#regions.length]?.name ?? '';
    if (kind === 'silence') this.#silent.add(region);
    else if (kind === 'speak') this.#silent.delete(region);
    else if (kind === 'remove') this.#removed.add(region);
    else if (kind === 'unload') this.#unloaded.add(region);
    else if (kind === 'add') for (const set of [this.#removed, this.#unloaded]) set.delete(region);
    else if (kind === 'lose') {
      this.#dispatcher.streamEnded(streamOf(region), this.#nowMs);
      this.#dispatcher.streamStarted(streamOf(region));
    } else this.#answer(kind, at);
  }

  /** Something comes back about one of the last claims, given up ones included. */
  #answer(kind: string, at: number): void {
    const { claims } = this.#ports;
    const claim = claims[claims.length - 1 - (at % ANSWERED)];
    if (claim === undefined) return;
    const { taskId } = claim.task;
    const { fence, region } = claim.attempt;
    const from = streamOf(region);
    if (kind === 'announce') this.#dispatcher.announced(from, taskId, fence, this.#nowMs);
    else if (kind === 'return') this.#dispatcher.returned(from, taskId, fence, this.#nowMs);
    else if (kind === 'no-ack') this.#dispatcher.claimNotStored(taskId, fence, this.#nowMs);
    else {
      const outcome = kind === 'good' ? GOOD : failed(true);
      this.#dispatcher.result(from, { taskId, fence, outcome, times: TIMES }, this.#nowMs);
    }
  }

  #agree(tenant: string, agreed: Record_): void {
    const readable = typeof agreed === 'object' ? Object.values(agreed).every((part) => this.#exists(part)) : false;
    this.#records.set(tenant, typeof agreed === 'object' && !readable ? UNREADABLE : agreed);
    const key = tenantKey(tenant);
    if (agreed === undefined) {
      this.#entries.delete(key);
      return;
    }
    const value = agreed === UNREADABLE ? Buffer.from('?') : encodeTenant({ name: tenant, residency: agreed });
    const counter = ++this.#version;
    const version = { dot: { actor: ACTOR, counter }, hlc: { wallMs: counter, logical: 0 }, value, deleted: false };
    this.#entries.set(key, { key, versions: [version], context: VersionVector.of([[ACTOR, counter]]) });
  }

  #exists({ regions, zones }: Places): boolean {
    const names = this.#regions.map(({ name }) => name);
    const known = this.#regions.map(({ zone }) => zone);
    return regions.every((name) => names.includes(name)) && zones.every((zone) => known.includes(zone));
  }

  /** By the definition: every `only` names it, no `never` does, and the tenant has a record that can be read. */
  #require(task: Task, region: string): void {
    const { tenant, key } = task.work;
    const agreed = this.#records.get(tenant);
    const zone = this.#regions.find(({ name }) => name === region)?.zone ?? '';
    if (agreed === UNREADABLE) throw new Error(`${task.taskId} in ${region}: the record of ${tenant} cannot be read`);
    if (agreed === undefined && tenant !== 'public')
      throw new Error(`${task.taskId} in ${region}: nobody knows ${tenant}`);
    const names = (part: Places) => part.regions.includes(region) || part.zones.includes(zone);
    for (const one of [agreed ?? {}, this.#asked.get(key) ?? {}]) {
      if (one.only !== undefined && !names(one.only)) throw new Error(`${task.taskId} in ${region}: not in only`);
      if (one.never !== undefined && names(one.never)) throw new Error(`${task.taskId} in ${region}: in never`);
    }
  }

  #wait(ms: number): void {
    this.#nowMs += ms;
  }

  #hear(): void {
    for (const [name, view] of this.#views) {
      if (this.#silent.has(name)) continue;
      view.heard(this.#nowMs);
      view.reported({ outstanding: 0, capacity: 1, price: 0, workers: 4, slots: 4 }, this.#nowMs);
    }
  }

  /** Calls that all take their time, so that from now on a late one may be hedged. */
  #warm(): void {
    for (let i = 0; i < WARM_CALLS; i++) {
      this.#hear();
      const before = this.#ports.claims.length;
      this.#dispatcher.add([aTask(aWork({ key: `warm${i}`, jobId: '', deadlineMs: 1e9 }))]);
      this.#dispatcher.round(this.#nowMs);
      const claim = this.#ports.claims[before];
      if (claim === undefined) throw new Error('a call was not placed');
      const { attempt, task } = claim;
      this.#wait(30);
      this.#dispatcher.result(
        streamOf(attempt.region),
        { taskId: task.taskId, fence: attempt.fence, outcome: GOOD, times: TIMES },
        this.#nowMs,
      );
    }
  }
}

function streamOf(region: string): StreamRef {
  return { id: region, region, worker: `${region}-1` };
}

/** Judges as it is asked, not afterwards: rules change. */
class CheckedPorts extends RecordingPorts {
  readonly #require: (task: Task, region: string) => void;
  readonly #counts: Counts;

  constructor(require: (task: Task, region: string) => void, counts: Counts) {
    super();
    this.#require = require;
    this.#counts = counts;
  }

  known(): Task[] {
    return this.claims.slice(-40).map(({ task }) => task);
  }

  override publishClaim(...[task, attempt]: Parameters<RecordingPorts['publishClaim']>): void {
    this.#require(task, attempt.region);
    if (!task.taskId.startsWith('warm')) this.#counts.claims++;
    if (attempt.after === 'hedged') this.#counts.hedges++;
    else if (attempt.number > 1) this.#counts.again++;
    super.publishClaim(task, attempt);
  }

  override sendPicture(stream: string, task: Task, fence: number): void {
    this.#require(task, stream);
    this.#counts.pictures++;
    super.sendPicture(stream, task, fence);
  }

  override attemptEnded(...[task, attempt]: Parameters<RecordingPorts['attemptEnded']>): void {
    if (attempt.end === 'not-allowed') this.#counts.taken++;
    super.attemptEnded(task, attempt);
  }
}
