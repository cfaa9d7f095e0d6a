import { RecognitionService } from '@meridian/contracts/recognition';
import type { RpcClient } from '@meridian/rpc';
import { withRegion } from '../connection.ts';
import { findSystem, type RegionDoors } from '../running-system.ts';
import type { GlobalOptions } from './context.ts';

export type JobClient = RpcClient<typeof RecognitionService>;

export interface TenantOptions {
  readonly tenant?: string;
}

/** Of a call that answers at once. */
export const CALL_TIMEOUT_MS = 15_000;

/** A job's id begins with the region that accepted it: that one is asked unless another one is named. */
export async function whereJobIs<O extends GlobalOptions>(jobId: string, options: O): Promise<O> {
  if (options.region !== undefined || options.address !== undefined) return options;
  const { regions } = await findSystem(options);
  const [longest] = regions
    .filter(({ name }) => jobId.startsWith(`${name}-`))
    .toSorted((a, b) => b.name.length - a.name.length);
  return longest === undefined ? options : { ...options, region: longest.name };
}

export function onRegion<T>(
  options: GlobalOptions,
  use: (client: JobClient, region: RegionDoors) => Promise<T>,
): Promise<T> {
  return withRegion(options, { service: RecognitionService, door: 'scheduler', identity: 'client' }, use);
}
