import { describe, expect, test } from '@jest/globals';
import type { Plan } from '@meridian/contracts/plan';
import { createLogger, VirtualClock } from '@meridian/runtime';
import { metrics as api } from '@opentelemetry/api';
import { createMetrics } from '../metrics.ts';
import { readDemand, readLoad } from '../reports/read-report.ts';
import { ReportDesk } from '../reports/report-desk.ts';
import { demandReport, KNOWN, loadReport, REGIONS, source } from '../reports/reports.fixture.ts';
import { PlanBoard } from './plan-board.ts';
import { Planner } from './planner.ts';

const INTERVAL_MS = 2_000;

/** An optimizer of beijing, and regions that report once a second, as far as they are in `alive`. */
class World {
  readonly clock = new VirtualClock();
  readonly desk = new ReportDesk(REGIONS);
  readonly board = new PlanBoard<Plan>();
  readonly plans: { atMs: number; cause: string; regions: string[] }[] = [];
  readonly alive = new Set<string>(REGIONS);
  /** What beijing's scheduler measures. */
  roundTripMs = 50;
  workers = 1;
  readonly #planner: Planner;

  constructor() {
    const publish = ({ cause, outcome }: Plan) =>
      void this.plans.push({
        ...{ atMs: this.clock.monotonicMs(), cause },
        regions: outcome?.regions.map(({ region }) => region) ?? [],
      });
    this.#planner = new Planner({
      ...{ region: 'beijing', desk: this.desk, board: this.board, intervalMs: INTERVAL_MS, clock: this.clock, publish },
      logger: createLogger({ name: 'test', region: 'beijing', level: 'silent' }),
      metrics: createMetrics(api.getMeter('test')),
    });
  }

  async start(): Promise<void> {
    await this.#planner.start();
    this.#report();
  }

  /** What the regions say, at once: schedulers do so at a step. */
  tell(): void {
    const now = { wallMs: this.clock.nowMs(), monotonicMs: this.clock.monotonicMs() };
    const measuredUnixMs = BigInt(Math.round(now.wallMs));
    for (const region of this.alive) {
      const links = REGIONS.filter((name) => name !== region && this.alive.has(name)).map((name) => ({
        ...{ region: name, roundTripMs: region === 'beijing' ? this.roundTripMs : 50, bandwidthMbps: 100 },
      }));
      const load = readLoad(loadReport(region, { measuredUnixMs, slots: this.workers }), region, KNOWN);
      const demand = readDemand(demandReport(region, { measuredUnixMs, links, sources: [source(3)] }), region, KNOWN);
      if ('facts' in load) this.desk.load(region, load.facts, now);
      if ('facts' in demand) this.desk.demand(region, demand.facts, now);
    }
  }

  /** Plans made within so long. */
  async pass(ms: number): Promise<World['plans']> {
    const before = this.plans.length;
    await this.clock.advance(ms);
    return this.plans.slice(before);
  }

  #report(): void {
    this.tell();
    this.clock.setTimer(1_000, () => this.#report());
  }
}

describe('when a plan is made', () => {
  test('not before anybody has said anything, at once then, and then every interval', async () => {
    const world = new World();
    await world.clock.advance(0);
    await world.start();
    const first = await world.pass(500);
    expect(first).toMatchObject([{ cause: 'start', regions: ['beijing', 'guangzhou', 'shanghai'] }]);
    const next = await world.pass(10_000);
    expect(next.map(({ cause }) => cause)).toEqual(Array(5).fill('interval'));
  });

  test('at once when a region is not reached any more, and when it is back', async () => {
    const world = new World();
    await world.start();
    await world.pass(5_050);
    world.alive.delete('shanghai');
    world.tell();
    const dead = await world.pass(300);
    expect(dead).toMatchObject([{ cause: 'topology', regions: ['beijing', 'guangzhou'] }]);
    world.alive.add('shanghai');
    await world.pass(1_000);
    world.tell();
    expect((await world.pass(300))[0]?.regions ?? world.plans.at(-1)?.regions).toContain('shanghai');
  });

  test('at once when a region has more workers, or a round trip steps; not for a small change of it', async () => {
    const world = new World();
    await world.start();
    await world.pass(4_150);
    world.workers = 2;
    world.tell();
    expect(await world.pass(300)).toMatchObject([{ cause: 'capacity' }]);
    world.roundTripMs = 60;
    world.tell();
    expect(await world.pass(300)).toEqual([]);
    world.roundTripMs = 250;
    world.tell();
    expect(await world.pass(300)).toMatchObject([{ cause: 'round-trip' }]);
  });

  test('the own region is a target by its own reports alone once all others are silent', async () => {
    const world = new World();
    await world.start();
    await world.pass(5_000);
    world.alive.delete('shanghai');
    world.alive.delete('guangzhou');
    await world.pass(4_000);
    expect(world.plans.at(-1)?.regions).toEqual(['beijing']);
    const outs = world.board.last?.inputs.map(({ region, leftOut }) => `${region} ${leftOut}`);
    expect(outs).toEqual(['beijing ', 'shanghai unreached', 'guangzhou unreached']);
  });
});

describe('the board', () => {
  test('a reader has the last plan at once, then the newest, and ends with its signal', async () => {
    const board = new PlanBoard<number>();
    board.put(1);
    const end = new AbortController();
    const reader = board.watch(end.signal);
    expect(await reader.next()).toEqual({ done: false, value: 1 });
    board.put(2);
    board.put(3);
    expect(await reader.next()).toEqual({ done: false, value: 3 });
    const waiting = reader.next();
    expect(board.watches).toBe(1);
    end.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(board.watches).toBe(0);
  });

  test('so many readers at a time', async () => {
    const board = new PlanBoard<number>();
    board.put(1);
    const end = new AbortController();
    const readers = Array.from({ length: 64 }, () => board.watch(end.signal));
    for (const reader of readers) await reader.next();
    await expect(board.watch(end.signal).next()).rejects.toMatchObject({ reason: 'TOO_MANY_WATCHES', retryable: true });
    end.abort();
    await Promise.all(readers.map((reader) => reader.next()));
    expect(board.watches).toBe(0);
  });
});
