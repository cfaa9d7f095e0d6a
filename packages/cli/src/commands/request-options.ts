import { PriorityClass } from '@meridian/contracts/recognition';
import { type Command, Option } from 'commander';

/** Options that recognitions and jobs have in common. */
export interface RequestOptions {
  readonly model?: string;
  readonly tenant?: string;
  readonly priority: 'high' | 'normal' | 'low';
  readonly onlyRegions?: string;
  readonly onlyZones?: string;
}

export function addRequestOptions(command: Command): Command {
  return command
    .option('-r, --region <name>', 'region that takes it in (default: the first that answers)')
    .option('-m, --model <name>', 'model (default: the catalogue’s)')
    .option('--tenant <name>', 'tenant (default: public)')
    .addOption(new Option('--priority <class>', 'priority class').choices(['high', 'normal', 'low']).default('normal'))
    .option('--only-regions <names>', 'regions that may run it, with commas between')
    .option('--only-zones <names>', 'residency zones that may run it, with commas between');
}

const PRIORITIES = { high: PriorityClass.HIGH, normal: PriorityClass.NORMAL, low: PriorityClass.LOW } as const;

/** The fields of a request or job header that these options set. */
export function requestFields(options: RequestOptions) {
  return {
    tenant: options.tenant ?? '',
    model: options.model ?? '',
    priority: PRIORITIES[options.priority],
    residency: { regions: names(options.onlyRegions), zones: names(options.onlyZones) },
  };
}

function names(text = ''): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
