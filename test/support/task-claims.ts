import { type PriorityClassName, subject } from '@meridian/contracts';
import { PriorityClass } from '@meridian/contracts/recognition';
import type { CatalogueModel } from '@meridian/models';
import { ACTOR } from './scripted-sync.ts';

export interface ClaimOptions {
  readonly priority?: PriorityClassName;
  readonly fence?: bigint;
  readonly owner?: string;
  readonly requires?: readonly string[];
  readonly deadlineMs?: number;
  readonly model?: string;
  /** In place of the model's own. */
  readonly digest?: string;
}

/** A claim for one picture in beijing, and the queue that it goes to. */
export function claimOf(
  taskId: string,
  pictureBytes: number,
  model: CatalogueModel | undefined,
  options: ClaimOptions,
) {
  const name = model?.name ?? '';
  const priority = options.priority ?? 'normal';
  const data = {
    ...{ taskId, jobId: 'job-1', tenant: 'public', fence: options.fence ?? 1n, attempt: 1, pictureBytes },
    priority: PriorityClass[priority.toUpperCase() as 'HIGH' | 'NORMAL' | 'LOW'],
    ...{ model: name, modelDigest: options.digest ?? model?.digest ?? '' },
    deadlineUnixMs: BigInt(options.deadlineMs ?? Date.now() + 60_000),
    requires: [...(options.requires ?? [`${ACTOR}=1`])],
    owner: { region: options.owner ?? 'beijing', replica: 'scheduler' },
    placedUnixMs: BigInt(Date.now()),
  };
  return { target: subject('task', { target: 'beijing', class: priority, model: name }), data };
}
