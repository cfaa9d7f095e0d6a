import { PriorityClass } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { formatRule, parseRule, type ResidencyRule } from '@meridian/residency';
import { TILES_MAX } from '@meridian/tiling';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { wholeNumber } from './context.ts';

/** Options that recognitions and jobs have in common. */
export interface RequestOptions {
  readonly model?: string;
  readonly tenant?: string;
  readonly priority: 'high' | 'normal' | 'low';
  readonly onlyRegions?: string;
  readonly onlyZones?: string;
  readonly residency?: ResidencyRule;
  readonly follow?: boolean;
  readonly tiles?: number;
  readonly lossyTiles?: true;
}

export function addRequestOptions(command: Command): Command {
  return command
    .option('-r, --region <name>', 'region that takes it in (default: the first that answers)')
    .option('-m, --model <name>', 'model (default: the catalogue’s)')
    .option('--tenant <name>', 'tenant (default: public)')
    .addOption(new Option('--priority <class>', 'priority class').choices(['high', 'normal', 'low']).default('normal'))
    .option('--residency <rule>', 'where it may be: "only=zone:cn-north;never=region:guangzhou;prefer=…"', ruleOf)
    .addOption(
      new Option('--only-regions <names>', 'short for only=region:…, with commas between').conflicts('residency'),
    )
    .addOption(new Option('--only-zones <names>', 'short for only=zone:…, with commas between').conflicts('residency'))
    .option('--follow', 'when the region may not have it, go to one that it names')
    .option(
      '--tiles <n>',
      'cut large pictures in at most so many tiles, each a task of its own, and join what they show',
      wholeNumber(2, TILES_MAX),
    )
    .option('--lossy-tiles', 'send tiles as JPEG: fewer bytes, slightly other pixels');
}

const PRIORITIES = { high: PriorityClass.HIGH, normal: PriorityClass.NORMAL, low: PriorityClass.LOW } as const;

/** The fields of a request or job header that these options set. */
export function requestFields(options: RequestOptions) {
  return {
    tenant: options.tenant ?? '',
    model: options.model ?? '',
    priority: PRIORITIES[options.priority],
    residency: { regions: names(options.onlyRegions), zones: names(options.onlyZones) },
    ...(options.tiles !== undefined && { tiling: { maxTiles: options.tiles, lossy: options.lossyTiles ?? false } }),
  };
}

/** Headers that say whose the call is and where it may be: checked before the region reads anything else. */
export function requestMetadata(options: RequestOptions): Readonly<Record<string, string>> {
  const { tenant, residency = onlyOf(options) } = options;
  return {
    ...(tenant !== undefined && { 'meridian-tenant': tenant }),
    ...(residency !== undefined && { 'meridian-residency': formatRule(residency) }),
  };
}

function onlyOf({ onlyRegions, onlyZones }: RequestOptions): ResidencyRule | undefined {
  const only = { regions: names(onlyRegions), zones: names(onlyZones) };
  return only.regions.length + only.zones.length === 0 ? undefined : { only };
}

/** For commander: a residency rule. */
export function ruleOf(text: string): ResidencyRule {
  try {
    return parseRule(text);
  } catch (error) {
    throw new InvalidArgumentError(Failure.from(error).message);
  }
}

function names(text = ''): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
