import { RegionHealth, type RegionView } from '@meridian/contracts/region';
import { formatMs, formatNumber, shortDigest } from './quantity.ts';
import { formatTable } from './table.ts';

const HEALTH: Readonly<Record<number, string>> = {
  [RegionHealth.UP]: 'up',
  [RegionHealth.SUSPECT]: 'suspect',
  [RegionHealth.DOWN]: 'down',
};

/**
 * The regions as one of them sees them.
 * @param modelNames names by digest; a digest without a name is shortened.
 */
export function formatRegions(
  observer: string,
  regions: readonly RegionView[],
  modelNames: ReadonlyMap<string, string>,
): string {
  // What a region that is down said last is not what it has now.
  const now = ({ health }: RegionView, value: number) => (health === RegionHealth.DOWN ? '–' : formatNumber(value));
  const rows = regions.map((region) => [
    region.name,
    HEALTH[region.health] ?? 'unknown',
    region.name === observer ? '–' : formatMs(region.roundTripMs),
    now(region, region.outstanding),
    formatNumber(region.capacity),
    region.health === RegionHealth.DOWN ? '–' : formatMs(region.price),
    now(region, region.workers),
    region.modelDigests
      .map((digest) => modelNames.get(digest) ?? shortDigest(digest))
      .sort()
      .join(' ') || '–',
  ]);
  const table = formatTable(
    ['region', 'health', 'round trip', 'outstanding', 'capacity', 'price', 'workers', 'models'],
    rows,
  );
  return `as ${observer} sees it\n${table}`;
}
