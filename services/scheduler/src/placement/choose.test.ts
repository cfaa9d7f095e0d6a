import { describe, expect, test } from '@jest/globals';
import { parseRule, territoryOf } from '@meridian/residency';
import { aTask, aWork, DOORS, REGIONS, regionViews } from '../tasks/task.builders.ts';
import { type ChoiceLimits, choose } from './choose.ts';
import { Decision } from './decision.ts';
import { explain } from './decision-log.ts';
import type { RegionView } from './region-view.ts';
import { PlacementWindow } from './window.ts';

const territory = (text: string) => territoryOf([{ of: 'the call', rule: parseRule(text) }], DOORS);
const idle = () => new PlacementWindow(64);
const limits = (more: Partial<ChoiceLimits> = {}): ChoiceLimits => ({
  readyRegions: new Set(REGIONS),
  isRemoved: () => false,
  window: idle(),
  territory: territoryOf([], DOORS),
  ...more,
});
const pickFrom = (views: ReadonlyMap<string, RegionView>, work = aWork(), more: Partial<ChoiceLimits> = {}) =>
  choose(aTask(work), new Decision(views.values()), limits(more));
const load = { outstanding: 0, capacity: 1, price: 0, workers: 1 };

describe('choose', () => {
  test('takes the least of two round trips, transfer, service, price and weighted wait', () => {
    const views = regionViews();
    expect(pickFrom(views)).toMatchObject({ region: 'beijing', costMs: 30 });
    // Two are served by one worker: the third would wait for two, and others behind it.
    views.get('beijing')?.reported({ ...load, outstanding: 2 }, 1);
    expect(pickFrom(views)?.region).toBe('shanghai');
    expect(pickFrom(views)?.costMs).toBeCloseTo(2 * 25 + 0.8 + 30);
    // With as many places as tasks nobody waits.
    views.get('beijing')?.reported({ ...load, outstanding: 2, slots: 3 }, 1);
    expect(pickFrom(views)?.region).toBe('beijing');
  });

  test('counts of a large picture what is sent of it, and what making that takes', () => {
    const task = { ...aTask(aWork()), pictureBytes: 4_000_000, picturePixels: 12_000_000 };
    const downscaling = { bytes: 204_800, takesMs: 40 };
    const views = regionViews();
    const decision = new Decision(views.values());
    const pick = (more: Partial<ChoiceLimits> = {}) => choose(task, decision, limits(more));
    const wayTo = (region: string) => decision.beliefs.wayMs[[...views.keys()].indexOf(region)];
    views.get('beijing')?.reported({ ...load, price: 400 }, 1);
    (views.get('shanghai') as RegionView).bandwidthMbps = 20;
    (views.get('guangzhou') as RegionView).bandwidthMbps = 500;
    // As it came it would be 32 ms on the configured links.
    expect(pick()?.region).toBe('shanghai');
    expect(wayTo('shanghai')).toBeCloseTo(2 * 25 + 32);
    expect(pick({ downscaling })?.region).toBe('guangzhou');
    expect(wayTo('shanghai')).toBeCloseTo(2 * 25 + 40 + 81.92);
    // 64 ms as it came: not worth 40 ms of work.
    expect(wayTo('guangzhou')).toBeCloseTo(2 * 50 + 64);
    expect(wayTo('beijing')).toBe(0);
  });

  test('the price of a region turns tasks away from it as soon as it outweighs the way', () => {
    const views = regionViews();
    views.get('beijing')?.reported({ ...load, price: 50 }, 1);
    expect(pickFrom(views)).toMatchObject({ region: 'beijing', costMs: 80, expectedMs: 30 });
    views.get('beijing')?.reported({ ...load, price: 52 }, 1);
    expect(pickFrom(views)?.region).toBe('shanghai');
    views.get('shanghai')?.reported({ ...load, price: 60 }, 1);
    expect(pickFrom(views)?.region).toBe('beijing');
  });

  test('a price is for a usual task: one that works twice as long pays twice, a short one hardly', () => {
    const views = regionViews();
    views.get('beijing')?.reported({ ...load, price: 40 }, 1);
    expect(pickFrom(views)).toMatchObject({ region: 'beijing', costMs: 70 });
    expect(pickFrom(views, aWork(), { size: 2 })?.region).toBe('shanghai');
    views.get('beijing')?.reported({ ...load, price: 90 }, 1);
    expect(pickFrom(views)?.region).toBe('shanghai');
    expect(pickFrom(views, aWork(), { size: 0.5 })).toMatchObject({ region: 'beijing', costMs: 75 });
  });

  test('what is done there and waits for its owner does not stand in the way', () => {
    const views = regionViews();
    views.get('beijing')?.reported({ ...load, outstanding: 5, settled: 5 }, 1);
    expect(pickFrom(views)).toMatchObject({ region: 'beijing', costMs: 30 });
  });

  test('only where the rule, the model, the workers, the health, the members and the window allow', () => {
    const views = regionViews();
    const pick = (work = aWork(), more: Partial<ChoiceLimits> = {}) => pickFrom(views, work, more)?.region;
    const guangzhou = { territory: territory('only=region:guangzhou') };
    expect(pick(aWork(), guangzhou)).toBe('guangzhou');
    expect(pick(aWork(), { readyRegions: new Set(['shanghai']) })).toBe('shanghai');
    expect(pick(aWork(), { ...guangzhou, readyRegions: new Set(['shanghai']) })).toBeUndefined();
    expect(pick(aWork(), { isRemoved: (region) => region === 'beijing' })).toBe('shanghai');
    views.get('beijing')?.reported({ ...load, workers: 0 }, 1);
    expect(pick()).toBe('shanghai');
    views.get('shanghai')?.tick(1600);
    expect(pick()).toBe('guangzhou');
    const window = new PlacementWindow(1);
    window.enter('guangzhou', 'normal');
    expect(pick(aWork(), { window })).toBeUndefined();
    expect(pick(aWork({ priority: 'high' }), { window })).toBe('guangzhou');
  });

  test('a preferred region is taken whatever it costs, and another one when no preferred one can take it', () => {
    const views = regionViews();
    const pick = (text: string, more: Partial<ChoiceLimits> = {}) =>
      pickFrom(views, aWork(), { territory: territory(text), ...more })?.region;
    views.get('guangzhou')?.reported({ ...load, outstanding: 30, price: 400 }, 1);
    expect(pick('prefer=region:guangzhou')).toBe('guangzhou');
    expect(pick('prefer=region:guangzhou,region:shanghai')).toBe('shanghai');
    const window = new PlacementWindow(1);
    window.enter('guangzhou', 'normal');
    expect(pick('prefer=region:guangzhou', { window })).toBe('beijing');
    expect(pick('prefer=region:guangzhou;only=region:guangzhou', { window })).toBeUndefined();
    expect(pick('prefer=region:guangzhou;never=region:guangzhou')).toBe('beijing');
  });

  test('a region without fresh reports is no target, whatever else is heard of it', () => {
    const views = regionViews();
    for (const view of views.values()) view.heard(3_000);
    for (const name of ['shanghai', 'guangzhou']) views.get(name)?.reported(load, 2_900);
    for (const view of views.values()) view.tick(3_000);
    expect(pickFrom(views)?.region).toBe('shanghai');
    views.get('beijing')?.reported(load, 3_001);
    expect(pickFrom(views)?.region).toBe('beijing');
  });

  test('a higher class neither waits for nor pays for our own lower ones', () => {
    const views = regionViews();
    const window = idle();
    for (let i = 0; i < 40; i++) window.enter('beijing', 'low');
    views.get('beijing')?.reported({ ...load, outstanding: 40, price: 500 }, 1);
    const pick = (priority: 'high' | 'low') => pickFrom(views, aWork({ priority }), { window });
    expect(pick('high')).toMatchObject({ region: 'beijing', costMs: 30 });
    expect(pick('low')?.region).toBe('shanghai');
  });

  test('a burst of a higher class spreads, though the last report of a region knows less than half of our lower ones', () => {
    const views = regionViews();
    const window = idle();
    for (let i = 0; i < 40; i++) window.enter('beijing', 'low');
    views.get('beijing')?.reported({ ...load, outstanding: 10 }, 1);
    const regions = Array.from({ length: 12 }, () => {
      const region = pickFrom(views, aWork({ priority: 'high' }), { window })?.region;
      window.enter(region ?? '', 'high');
      views.get(region ?? '')?.placed(1);
      return region;
    });
    expect(regions[0]).toBe('beijing');
    for (const name of REGIONS) expect(regions.filter((region) => region === name).length).toBeGreaterThanOrEqual(2);
  });

  test('the region that just failed is taken only when there is no other', () => {
    const views = regionViews();
    const task = {
      ...aTask(aWork()),
      state: { kind: 'ready', after: 'worker-lost', excludedRegion: 'beijing' } as const,
    };
    const pick = () => choose(task, new Decision(views.values()), limits())?.region;
    expect(pick()).toBe('shanghai');
    views.delete('shanghai');
    views.delete('guangzhou');
    expect(pick()).toBe('beijing');
    views.get('beijing')?.tick(1600);
    expect(pick()).toBeUndefined();
  });

  test('every decision says why, for every region', () => {
    const views = regionViews();
    views.get('beijing')?.reported({ ...load, outstanding: 3, price: 7 }, 1);
    views.get('guangzhou')?.tick(1600);
    const decision = new Decision(views.values());
    const task = aTask(aWork());
    choose(task, decision, limits({ territory: territory('never=region:shanghai') }));
    const told = explain(task, decision, 5);
    expect(told).toMatchObject({ winner: 'beijing', decidedMs: 5, priority: 'normal', modelDigest: 'sha256:model' });
    expect(told?.candidates.map(({ region, exclusion, notAllowed }) => [region, exclusion, notAllowed])).toEqual([
      ['beijing', '', ''],
      ['shanghai', 'residency', 'the call: never=region:shanghai'],
      ['guangzhou', 'suspect', ''],
    ]);
    const [beijing, shanghai] = told?.candidates ?? [];
    expect(beijing).toMatchObject({ roundTripMs: 0, transferMs: 0, serviceMs: 30, priceMs: 7, waitMs: 90, slots: 1 });
    expect(beijing?.totalMs).toBeCloseTo(30 + 7 + (told?.waitWeight ?? 0) * 90);
    expect(shanghai?.transferMs).toBeCloseTo(0.8);
  });
});

describe('RegionView', () => {
  test('counts our placements until a report can have seen them', () => {
    const view = regionViews().get('shanghai');
    for (const at of [100, 140, 180]) view?.placed(at);
    expect(view?.ahead).toBe(3);
    view?.reported({ outstanding: 2, capacity: 1, price: 0 }, 195);
    // Round trip 50: the report left at the earliest at 145, so it cannot have seen the placement of 180.
    expect(view?.ahead).toBe(3);
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

  test('older news does not overwrite newer, however it came', () => {
    const view = regionViews().get('shanghai');
    expect(view?.reported({ ...load, outstanding: 5, measuredMs: 1_000_200 }, 300)).toBe(true);
    expect(view?.reported({ ...load, outstanding: 9, measuredMs: 1_000_100 }, 310, 150)).toBe(false);
    expect(view?.reported({ ...load, outstanding: 9, measuredMs: 1_000_200 }, 320)).toBe(false);
    expect([view?.ahead, view?.reportedMs]).toEqual([5, 300]);
    expect(view?.reported({ ...load, outstanding: 2, measuredMs: 1_000_300 }, 450, 40)).toBe(true);
    expect([view?.ahead, view?.reportedMs]).toEqual([2, 410]);
    // Its clock was set back by an hour: that is not the past.
    expect(view?.reported({ ...load, outstanding: 1, measuredMs: 1 }, 500)).toBe(true);
  });

  test('our attempts that end make room at once, and once only', () => {
    const view = regionViews().get('shanghai');
    view?.reported({ ...load, outstanding: 2 }, 100);
    view?.ended(150);
    expect(view?.ahead).toBe(1);
    // It left before the result did.
    view?.reported({ ...load, outstanding: 2 }, 160, 20);
    expect(view?.ahead).toBe(1);
    view?.reported({ ...load, outstanding: 1 }, 200);
    expect(view?.ahead).toBe(1);
  });
});
