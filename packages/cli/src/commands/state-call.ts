import { StateService } from '@meridian/contracts/state';
import type { RpcClient } from '@meridian/rpc';
import type { Command } from 'commander';
import { withRegion } from '../connection.ts';
import type { RegionDoors } from '../running-system.ts';
import type { GlobalOptions } from './context.ts';

export type StateClient = RpcClient<typeof StateService>;

/** Of a call that answers at once, or after a short wait for what the caller has seen. */
export const CALL_TIMEOUT_MS = 15_000;
/** How long a region may wait until it has seen the token of `--after`. */
export const AFTER_WAIT_MS = 5_000;

export interface AfterOption {
  readonly after?: string;
}

export function addAfterOption(command: Command): Command {
  return command.option('--after <token>', 'not before the region has seen this (versionVector of another answer)');
}

export const REGION_OPTION = ['-r, --region <name>', 'region to ask (default: the first that answers)'] as const;

/** Fields of a request that `--after` sets. */
export function sessionFields({ after }: AfterOption) {
  return after === undefined ? {} : { versionVector: after, waitMs: AFTER_WAIT_MS };
}

export function onSync<T>(
  options: GlobalOptions,
  identity: 'client' | 'operator',
  use: (client: StateClient, region: RegionDoors) => Promise<T>,
): Promise<T> {
  return withRegion(options, { service: StateService, door: 'sync', identity }, use);
}

const CONFIG_PREFIX = 'config/';

/** People leave out `config/`; what `config list` and `conflicts` print is taken, too. */
export function keyOf(text: string): string {
  return text.startsWith(CONFIG_PREFIX) ? text : `${CONFIG_PREFIX}${text}`;
}
