import type { PartitionShape } from '../options.ts';
import type { Chance } from './chance.ts';
import type { World } from './world.ts';

type Link = readonly [from: string, to: string];

/** Cuts links for a while. A flapping one works every other second. */
export function partition(world: World, chance: Chance, shape: PartitionShape, forMs: number): void {
  const links = linksOf(world.options.regions, chance, shape);
  const endMs = world.heap.nowMs + forMs;
  const cut = () => {
    for (const [from, to] of links) world.network.cut(from, to);
    world.heap.after(shape === 'flapping' ? 1_000 : forMs, mend);
  };
  const mend = () => {
    for (const [from, to] of links) world.network.mend(from, to);
    world.counts['partitions healed']++;
    if (chance.happens(0.5)) reconnect(world, links);
    if (shape === 'flapping' && world.heap.nowMs + 1_000 < endMs) world.heap.after(1_000, cut);
  };
  cut();
}

function reconnect(world: World, links: readonly Link[]): void {
  const ends = new Set(links.flat());
  for (const process of world.processes)
    if (process.isUp && ends.has(process.region)) process.whenAwake(() => process.step({ kind: 'connected' }));
}

function linksOf(regions: readonly string[], chance: Chance, shape: PartitionShape): Link[] {
  const one = chance.pick(regions);
  const others = regions.filter((region) => region !== one);
  if (shape === 'one-way') return [chance.happens(0.5) ? [one, chance.pick(others)] : [chance.pick(others), one]];
  const island = new Set([one]);
  if (shape === 'islands') for (const other of others) if (chance.happens(0.4)) island.add(other);
  const links: Link[] = [];
  for (const a of island) for (const b of regions) if (!island.has(b)) links.push([a, b], [b, a]);
  return links;
}
