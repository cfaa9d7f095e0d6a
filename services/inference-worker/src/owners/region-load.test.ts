import { create } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { LoadSchema } from '@meridian/contracts/collector';
import { VirtualClock } from '@meridian/runtime';
import { RegionLoad } from './region-load.ts';

test('what the scheduler said last is passed on with its age, and not for ever', async () => {
  const clock = new VirtualClock();
  const load = new RegionLoad(clock);
  expect(load.current).toBeUndefined();
  load.heard(create(LoadSchema, { outstanding: 3, price: 12, measuredUnixMs: 100n }));
  await clock.advance(250);
  expect(load.current).toMatchObject({ outstanding: 3, price: 12, measuredUnixMs: 100n, ageMs: 250 });
  await clock.advance(2_751);
  expect(load.current).toBeUndefined();
});
