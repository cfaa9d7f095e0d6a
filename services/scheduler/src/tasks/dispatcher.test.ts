import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { StreamRef } from './ports.ts';
import { aDispatcher, aTask, aWork, failed, GOOD, REGIONS, TIMES } from './task.builders.ts';

const tasksOf = (work = aWork(), count = 1) => Array.from({ length: count }, (_, i) => aTask(work, i));
const stream = (region: string, id = `${region}-1`): StreamRef => ({ id, region, worker: `w-${id}` });

describe('Dispatcher', () => {
  test('fills the nearest first, then spreads; never more than the window per region', () => {
    const { dispatcher, ports } = aDispatcher(4);
    dispatcher.add(tasksOf(aWork(), 20));
    expect(dispatcher.round(1)).toBe(12);
    const regions = ports.claims.map(({ attempt }) => attempt.region);
    expect(regions[0]).toBe('beijing');
    for (const region of REGIONS) expect(regions.filter((r) => r === region)).toHaveLength(4);
    expect(dispatcher.round(1)).toBe(0);
  });

  test('a window full of low tasks does not keep high ones waiting', () => {
    const { dispatcher, ports } = aDispatcher(4);
    dispatcher.add(tasksOf(aWork({ key: 'l', jobId: 'l', priority: 'low' }), 500));
    dispatcher.round(1);
    dispatcher.add(tasksOf(aWork({ key: 'h', jobId: 'h', priority: 'high' }), 12));
    expect(dispatcher.round(2)).toBe(12);
    expect(ports.claims.slice(12).every(({ task }) => task.work.priority === 'high')).toBe(true);
  });

  test('re-places what a lost worker held, elsewhere and at once', () => {
    const { dispatcher, ports } = aDispatcher();
    dispatcher.add(tasksOf());
    dispatcher.round(1);
    const attempt = ports.claims[0]?.attempt;
    const from = stream(attempt?.region ?? '');
    dispatcher.streamStarted(from);
    dispatcher.announced(from, 'beijing-job/0', attempt?.fence ?? 0, 2);
    dispatcher.streamEnded(from, 3);
    expect(dispatcher.round(3)).toBe(1);
    expect(ports.claims[1]?.attempt).toMatchObject({ number: 2, faultMs: 3, after: 'worker-lost' });
    expect(ports.claims[1]?.attempt.region).not.toBe(attempt?.region);
  });

  test('explains each placement of a task, and why one that waits can go nowhere', () => {
    const { dispatcher, ports, regions } = aDispatcher();
    dispatcher.add(tasksOf(aWork(), 1));
    dispatcher.round(1);
    const from = stream('beijing');
    dispatcher.streamStarted(from);
    dispatcher.announced(from, 'beijing-job/0', ports.claims[0]?.attempt.fence ?? 0, 2);
    for (const view of regions.values()) view.reported({ outstanding: 0, capacity: 1, price: 0, workers: 0 }, 3);
    dispatcher.streamEnded(from, 3);
    expect(dispatcher.round(3)).toBe(0);
    expect(dispatcher.explain('beijing-job/0', 4)).toMatchObject([
      { attempt: 1, fence: ports.claims[0]?.attempt.fence, decidedMs: 1, winner: 'beijing' },
      { attempt: 0, decidedMs: 4, candidates: REGIONS.map((region) => ({ region, exclusion: 'no-workers' })) },
    ]);
    expect(dispatcher.explain('beijing-other/0', 4)).toEqual([]);
  });

  test('a model that takes nine times as long pays nine times the price of the other', () => {
    const { dispatcher, ports, regions } = aDispatcher();
    const from = stream('beijing');
    dispatcher.streamStarted(from);
    const price = () => regions.get('beijing')?.reported({ outstanding: 0, capacity: 1, price: 40, workers: 1 }, 1);
    const run = (model: string, at: number, inferenceMs: number) => {
      const key = `${model}-${at}`;
      dispatcher.add(tasksOf(aWork({ key, jobId: key, modelDigest: model })));
      price();
      dispatcher.round(1);
      const { task, attempt } = ports.claims.at(-1) ?? { task: undefined, attempt: undefined };
      const times = { ...TIMES, decodeMs: 0, inferenceMs };
      const { taskId = '' } = task ?? {};
      const [explanation] = dispatcher.explain(taskId, 1);
      dispatcher.result(from, { taskId, fence: attempt?.fence ?? 0, outcome: GOOD, times }, 1);
      return explanation?.candidates.find(({ region }) => region === 'beijing')?.priceMs;
    };
    expect(run('short', 0, 10)).toBeCloseTo(40, 3);
    for (let at = 1; at < 500; at++) {
      run('short', at, 10);
      run('long', at, 90);
    }
    expect(run('short', 500, 10)).toBeCloseTo(8, 0);
    expect(run('long', 500, 90)).toBeCloseTo(72, 0);
  });

  test('a late call is hedged where a place is free; a job is not, nor anything under load', () => {
    const { dispatcher, ports, regions } = aDispatcher();
    const from = stream('beijing');
    const report = (nowMs: number, outstanding: number) => {
      for (const view of regions.values()) {
        view.heard(nowMs);
        view.reported({ outstanding, capacity: 1, price: 0, workers: 1 }, nowMs);
      }
    };
    const call = (key: string) => aTask(aWork({ key, jobId: '' }));
    dispatcher.streamStarted(from);
    for (let i = 0; i < 200; i++) {
      dispatcher.add([call(`c${i}`)]);
      dispatcher.round(i);
      report(i, 0);
      dispatcher.result(
        from,
        { taskId: `c${i}/0`, fence: ports.claims.at(-1)?.attempt.fence ?? 0, outcome: GOOD, times: TIMES },
        i + 30,
      );
    }
    const before = ports.claims.length;
    dispatcher.add([call('late'), aTask(aWork({ jobId: 'beijing-job' }))]);
    dispatcher.round(300);
    report(300, 2);
    dispatcher.tick(400);
    expect(dispatcher.round(400)).toBe(0);
    report(450, 0);
    dispatcher.tick(450);
    expect(dispatcher.round(450)).toBe(1);
    expect(
      ports.claims.slice(before).map(({ task, attempt }) => [task.taskId, attempt.number, attempt.region]),
    ).toEqual([
      ['late/0', 1, 'beijing'],
      ['beijing-job/0', 1, 'beijing'],
      ['late/0', 2, 'shanghai'],
    ]);
    dispatcher.tick(1_000);
    expect(dispatcher.round(1_000)).toBe(0);
  });

  test('a silent region gets nothing new, and after the down time its queue is placed elsewhere', () => {
    const { dispatcher, ports, regions } = aDispatcher(1);
    dispatcher.add(tasksOf(aWork(), 3));
    dispatcher.round(0);
    expect(ports.claims).toHaveLength(3);
    for (let t = 500; t <= 5000; t += 500) {
      for (const name of ['beijing', 'shanghai']) {
        regions.get(name)?.heard(t);
        regions.get(name)?.reported({ outstanding: 1, capacity: 1, price: 0, workers: 1 }, t);
      }
      dispatcher.tick(t);
    }
    expect(ports.attempts.map(({ end, region }) => [end, region])).toEqual([['region-down', 'guangzhou']]);
    expect(dispatcher.round(5000)).toBe(1);
    expect(ports.claims[3]?.attempt.region).not.toBe('guangzhou');
  });

  test('a claim that was overtaken is lost with the worker that took it', () => {
    const { dispatcher, ports, regions } = aDispatcher(2);
    for (const name of ['shanghai', 'guangzhou']) regions.get(name)?.tick(1600);
    const [first, second] = tasksOf(aWork(), 2);
    dispatcher.add(first ? [first] : []);
    dispatcher.round(1);
    dispatcher.claimStored('beijing-job/0', ports.claims[0]?.attempt.fence ?? 0, 1);
    dispatcher.add(second ? [second] : []);
    dispatcher.round(2);
    dispatcher.announced(stream('beijing'), 'beijing-job/1', ports.claims[1]?.attempt.fence ?? 0, 3);
    for (let t = 1000; t <= 4000; t += 500) {
      regions.get('beijing')?.heard(t);
      regions.get('beijing')?.reported({ outstanding: 2, capacity: 1, price: 0, workers: 1 }, t);
      dispatcher.tick(t);
    }
    expect(ports.attempts.map(({ end }) => end)).toEqual(['not-announced']);
  });

  test('a region that lost its workers gives its queue back', () => {
    const { dispatcher, ports, regions } = aDispatcher(1);
    dispatcher.add(tasksOf(aWork(), 3));
    dispatcher.round(0);
    regions.get('shanghai')?.reported({ outstanding: 1, capacity: 0, price: 0, workers: 0 }, 10);
    dispatcher.tick(20);
    expect(ports.attempts.map(({ end, region }) => [end, region])).toEqual([['no-workers', 'shanghai']]);
  });

  test('expires every task of a work, each with a record', () => {
    const { dispatcher, ports } = aDispatcher();
    dispatcher.add(tasksOf(aWork({ deadlineMs: 100 }), 300));
    dispatcher.tick(100);
    dispatcher.tick(150);
    expect(ports.stores).toHaveLength(300);
    expect(new Set(ports.stores.map(({ task }) => task.taskId)).size).toBe(300);
  });
});

/** What may happen next, drawn at random; `who` picks among what it can happen to. */
const happening = fc.record({
  what: fc.constantFrom(
    'round',
    'pub-ack',
    'no-pub-ack',
    'announce',
    'result',
    'failure',
    'crash',
    'returned',
    'stream-end',
    'silence',
    'heard',
    'stored',
    'tick',
  ),
  who: fc.nat(1000),
});

describe('whatever happens, in any order', () => {
  test('one ending per task, bytes only for the newest fence, and all end once faults stop', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 250 }), fc.boolean(), (happenings, durable) => {
        const run = new Simulation(durable);
        for (const { what, who } of happenings) run.happen(what, who);
        run.settle();
        run.check();
      }),
      { numRuns: 300 },
    );
  });
});

/** Drives a dispatcher by what its ports recorded, like a broker and workers that may do anything at any time. */
class Simulation {
  static readonly TASKS = 12;
  readonly #world = aDispatcher(3);
  readonly #streams = new Map<string, StreamRef>();
  #nowMs = 1;
  #streamCount = 0;
  #storesAnswered = 0;

  constructor(durable: boolean) {
    const works = [0, 1, 2].map((i) => aWork({ key: `w${i}`, jobId: durable ? `w${i}` : '' }));
    for (const work of works) this.#world.dispatcher.add(tasksOf(work, Simulation.TASKS / works.length));
    for (const region of REGIONS) this.#attach(region);
  }

  happen(what: string, who: number): void {
    const { dispatcher, ports, regions } = this.#world;
    const now = ++this.#nowMs;
    const claim = ports.claims[who % Math.max(1, ports.claims.length)];
    const sent = ports.pictures[who % Math.max(1, ports.pictures.length)];
    const region = REGIONS[who % REGIONS.length] ?? 'beijing';
    if (what === 'round') dispatcher.round(now);
    else if (what === 'pub-ack' && claim) dispatcher.claimStored(claim.task.taskId, claim.attempt.fence, now);
    else if (what === 'no-pub-ack' && claim) dispatcher.claimNotStored(claim.task.taskId, claim.attempt.fence, now);
    else if (what === 'announce' && claim) this.#announce(claim.attempt.region, claim.task.taskId, claim.attempt.fence);
    else if (what === 'result' && sent) this.#result(sent, 'good');
    else if (what === 'failure' && sent) this.#result(sent, 'failure');
    else if (what === 'crash' && sent) this.#result(sent, 'crash');
    else if (what === 'returned' && sent) this.#returned(sent);
    else if (what === 'stream-end') this.#reattach(region);
    else if (what === 'silence') this.#nowMs += 1700;
    else if (what === 'heard') regions.get(region)?.heard(now);
    else if (what === 'stored') this.#answerStore();
    else if (what === 'tick') dispatcher.tick(now);
  }

  /** Faults are over: every claim is acknowledged, announced and answered, in turn. */
  settle(): void {
    const { dispatcher, ports, regions } = this.#world;
    for (let i = 0; i < 200 && dispatcher.openTasks > 0; i++) {
      this.#nowMs += 100;
      for (const view of regions.values()) {
        view.heard(this.#nowMs);
        view.reported({ outstanding: 1, capacity: 1, price: 0, workers: 1 }, this.#nowMs);
      }
      dispatcher.tick(this.#nowMs);
      dispatcher.round(this.#nowMs);
      for (const { task, attempt } of [...ports.claims]) {
        dispatcher.claimStored(task.taskId, attempt.fence, this.#nowMs);
        this.#announce(attempt.region, task.taskId, attempt.fence);
      }
      for (const sent of [...ports.pictures]) this.#result(sent, 'good');
      while (this.#storesAnswered < ports.stores.length) this.#answerStore();
    }
  }

  check(): void {
    const { dispatcher, ports } = this.#world;
    expect(dispatcher.openTasks).toBe(0);
    const ended = ports.endings.map(({ task }) => task.taskId);
    expect(ended).toHaveLength(Simulation.TASKS);
    expect(new Set(ended).size).toBe(Simulation.TASKS);
    expect(new Set(ports.stores.map(({ task }) => task.taskId)).size).toBe(ports.stores.length);
    for (const region of REGIONS) expect(dispatcher.heldBy(region)).toBe(0);
    const fences = ports.claims.map(({ task, attempt }) => `${task.taskId}#${attempt.fence}`);
    expect(new Set(fences).size).toBe(fences.length);
  }

  #announce(region: string, taskId: string, fence: number): void {
    const { dispatcher, ports } = this.#world;
    const before = ports.pictures.length;
    const newest = Math.max(...ports.claims.filter((c) => c.task.taskId === taskId).map((c) => c.attempt.fence));
    const from = this.#streams.get(region);
    if (from !== undefined) dispatcher.announced(from, taskId, fence, this.#nowMs);
    if (fence < newest) expect(ports.pictures).toHaveLength(before);
  }

  #result(sent: { stream: string; taskId: string; fence: number }, kind: 'good' | 'failure' | 'crash'): void {
    const region = sent.stream.split(' ')[0] ?? '';
    const outcome = kind === 'good' ? GOOD : failed(true, kind === 'crash' ? 'INTERNAL' : 'UNAVAILABLE');
    const from = { id: sent.stream, region, worker: 'w' };
    this.#world.dispatcher.result(from, { taskId: sent.taskId, fence: sent.fence, outcome, times: TIMES }, this.#nowMs);
  }

  #returned(sent: { stream: string; taskId: string; fence: number }): void {
    const from = { id: sent.stream, region: '', worker: 'w' };
    this.#world.dispatcher.returned(from, sent.taskId, sent.fence, this.#nowMs);
  }

  #attach(region: string): void {
    const from = { id: `${region} ${++this.#streamCount}`, region, worker: 'w' };
    this.#streams.set(region, from);
    this.#world.dispatcher.streamStarted(from);
  }

  #reattach(region: string): void {
    const old = this.#streams.get(region);
    if (old !== undefined) this.#world.dispatcher.streamEnded(old, this.#nowMs);
    this.#attach(region);
  }

  #answerStore(): void {
    const { dispatcher, ports } = this.#world;
    const store = ports.stores[this.#storesAnswered];
    if (store === undefined) return;
    this.#storesAnswered++;
    dispatcher.stored(store.task.taskId, this.#nowMs);
  }
}
