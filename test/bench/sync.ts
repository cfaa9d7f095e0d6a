import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REGIONS, SyncRegions } from './sync-regions.ts';
import { bytesIn, TrafficCapture } from './sync-traffic.ts';
import { keysOf, updatesOf } from './sync-workload.ts';

const directory = await mkdtemp(join(tmpdir(), 'meridian-bench-'));
const keys = keysOf(1, 1000);
const regions = await SyncRegions.start(directory);
try {
  const captures = await Promise.all(REGIONS.map((r) => TrafficCapture.start(regions.brokers.of(r))));
  const ms = await regions.untilAllSeeAll(updatesOf(100, keys, 10_000), 100);
  console.log('with capture', ms);
  for (const c of captures) console.log(c.region, c.byKind, c.headerBytesByName, bytesIn(c.total)/6667);
  for (const c of captures) await c.stop();
  for (let i = 0; i < 3; i++) console.log(await regions.untilAllSeeAll(updatesOf(200 + i, keys, 10_000), 100));
} finally {
  await regions.stop();
  await rm(directory, { recursive: true, force: true });
}
