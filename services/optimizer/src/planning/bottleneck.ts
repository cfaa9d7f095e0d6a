import type { Plan, RegionPlan } from '@meridian/placement';

/** What would have to grow first. */
export interface Bottleneck {
  readonly kind: 'none' | 'capacity' | 'bandwidth' | 'regions';
  readonly region: string;
  readonly reason: string;
}

/** A region that is planned to work less than this is not short of anything. */
const BUSY_SHARE = 0.7;

export function bottleneckOf({ regions, shed }: Plan): Bottleneck {
  const nowhere = shed.find(({ reason }) => reason === 'NO_REGION');
  if (nowhere !== undefined) {
    const { origin, model } = nowhere.source;
    const rate = shed.filter(({ reason }) => reason === 'NO_REGION').reduce((sum, one) => sum + one.tasksPerSecond, 0);
    const first = `of model ${model || 'several'} from ${origin}${shed.length > 1 ? ' and others' : ''}`;
    const reason = `${tenth(rate)} tasks a second ${first} may run in no region that can be reached and has workers`;
    return { kind: 'regions', region: origin, reason };
  }
  const short = dearest(regions, ({ megabytePriceMs }) => megabytePriceMs);
  if (short !== undefined) {
    const reason = `the links to ${short.region} are full: one more megabyte a second would save ${tenth(short.megabytePriceMs)} ms`;
    return { kind: 'bandwidth', region: short.region, reason };
  }
  const busy = dearest(regions, ({ priceMs, load, capacity }) => (load >= BUSY_SHARE * capacity ? priceMs : 0));
  if (busy === undefined)
    return { kind: 'none', region: '', reason: `no region works at ${BUSY_SHARE * 100} % or more` };
  const use = Math.round((busy.load / busy.capacity) * 100);
  const more = shed.length > 0 ? '; demand is given up' : '';
  const reason = `${busy.region} works at ${use} %: one more worker-second there costs all tasks ${tenth(busy.priceMs)} ms${more}`;
  return { kind: 'capacity', region: busy.region, reason };
}

/** The first of those with the most; undefined when none has any. */
function dearest(regions: readonly RegionPlan[], price: (region: RegionPlan) => number): RegionPlan | undefined {
  let best: RegionPlan | undefined;
  for (const region of regions) if (price(region) > (best === undefined ? 0 : price(best))) best = region;
  return best;
}

function tenth(value: number): number {
  return Number(value.toFixed(1));
}
