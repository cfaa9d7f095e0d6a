import { describe, expect, test } from '@jest/globals';
import { aTask, aWork, REGIONS, regionViews } from '../tasks/task.builders.ts';
import { choose } from './choose.ts';
import { expectedLatencyMs } from './cost.ts';
import { PlacementWindow } from './window.ts';

const ready = new Set(REGIONS);
const idle = () => new PlacementWindow(64);

describe('choose', () => {
  test('takes the least of round trip, transfer, wait and service', () => {
    const views = regionViews();
    const pick = () => choose(aTask(aWork()), views.values(), ready, idle(), expectedLatencyMs);
    expect(pick()).toEqual({ region: 'beijing', costMs: 30 });
    views.get('beijing')?.reported({ outstanding: 1, capacity: 1, price: 0 }, 1);
    expect(pick()?.region).toBe('beijing');
    views.get('beijing')?.reported({ outstanding: 2, capacity: 1, price: 0 }, 1);
    expect(pick()?.region).toBe('shanghai');
    expect(pick()?.costMs).toBeCloseTo(50 + 0.8 + 30);
  });

  test('only where the rule, the model, the workers, the health and the window allow', () => {
    const views = regionViews();
    const pick = (work = aWork(), readyIn: ReadonlySet<string> = ready, window = idle()) =>
      choose(aTask(work), views.values(), readyIn, window, expectedLatencyMs)?.region;
    expect(pick(aWork({ allowedRegions: new Set(['guangzhou']) }))).toBe('guangzhou');
    expect(pick(aWork(), new Set(['shanghai']))).toBe('shanghai');
    expect(pick(aWork({ allowedRegions: new Set(['guangzhou']) }), new Set(['shanghai']))).toBeUndefined();
    views.get('beijing')?.reported({ outstanding: 0, capacity: 1, price: 0, workers: 0 }, 1);
    expect(pick()).toBe('shanghai');
    views.get('shanghai')?.tick(1600);
    expect(pick()).toBe('guangzhou');
    const full = new PlacementWindow(1);
    full.enter('guangzhou', 'normal');
    expect(pick(aWork(), ready, full)).toBeUndefined();
    expect(pick(aWork({ priority: 'high' }), ready, full)).toBe('guangzhou');
  });

  test('a higher class does not wait behind our own lower ones', () => {
    const views = regionViews();
    const window = idle();
    for (let i = 0; i < 40; i++) window.enter('beijing', 'low');
    views.get('beijing')?.reported({ outstanding: 40, capacity: 1, price: 0 }, 1);
    const pick = (priority: 'high' | 'low') =>
      choose(aTask(aWork({ priority })), views.values(), ready, window, expectedLatencyMs)?.region;
    expect([pick('high'), pick('low')]).toEqual(['beijing', 'shanghai']);
  });

  test('a burst of a higher class spreads, though the last report of a region knows less than half of our lower ones', () => {
    const views = regionViews();
    const window = idle();
    for (let i = 0; i < 40; i++) window.enter('beijing', 'low');
    views.get('beijing')?.reported({ outstanding: 10, capacity: 1, price: 0 }, 1);
    const regions = Array.from({ length: 12 }, () => {
      const region = choose(
        aTask(aWork({ priority: 'high' })),
        views.values(),
        ready,
        window,
        expectedLatencyMs,
      )?.region;
      window.enter(region ?? '', 'high');
      views.get(region ?? '')?.placed(1);
      return region;
    });
    expect(regions.slice(0, 2)).toEqual(['beijing', 'beijing']);
    for (const name of REGIONS) expect(regions.filter((region) => region === name).length).toBeGreaterThanOrEqual(2);
  });

  test('the region that just failed is taken only when there is no other', () => {
    const views = regionViews();
    const task = {
      ...aTask(aWork()),
      state: { kind: 'ready', after: 'worker-lost', excludedRegion: 'beijing' } as const,
    };
    const pick = () => choose(task, views.values(), ready, idle(), expectedLatencyMs)?.region;
    expect(pick()).toBe('shanghai');
    views.delete('shanghai');
    views.delete('guangzhou');
    expect(pick()).toBe('beijing');
  });
});

describe('RegionView', () => {
  test('counts our placements until a report can have seen them', () => {
    const view = regionViews().get('shanghai');
    for (const at of [100, 140, 180]) view?.placed(at);
    expect(view?.outstanding).toBe(3);
    view?.reported({ outstanding: 2, capacity: 1, price: 0 }, 195);
    // Round trip 50: the report left at the earliest at 145, so it cannot have seen the placement of 180.
    expect(view?.outstanding).toBe(3);
  });

  test('is suspect after 1.5 s of silence, down after 5 s, up at the first word', () => {
    const view = regionViews().get('shanghai');
    expect(view?.tick(1499)).toBeUndefined();
    expect(view?.tick(1500)).toBe('suspect');
    expect(view?.tick(5000)).toBe('down');
    view?.heard(5100);
    expect(view?.health).toBe('up');
  });

  test('time in which we could not listen is no silence', () => {
    const view = regionViews().get('shanghai');
    view?.excuse(2000);
    expect(view?.tick(2500)).toBeUndefined();
  });

  test('the round trip follows the least of the last samples', () => {
    const view = regionViews().get('shanghai');
    for (const ms of [52, 300, 51, 90, 400, 51]) view?.measured(ms);
    expect(view?.roundTripMs).toBeGreaterThan(50);
    expect(view?.roundTripMs).toBeLessThan(53);
  });
});
