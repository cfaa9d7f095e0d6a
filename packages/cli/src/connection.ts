import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { Failure } from '@meridian/failure';
import { createChannel, createClient, loadTls, type RpcClient } from '@meridian/rpc';
import { chooseRegion, findSystem, type RegionDoors, type SystemOptions } from './running-system.ts';

/** Answers are small; pictures go the other way, where the server's window counts. */
const WINDOW_BYTES = 2 ** 20;

export interface DoorOptions<S> {
  readonly service: S;
  readonly door: 'scheduler' | 'sync';
  /** Whose certificate to show. `operator` may change the shared state. */
  readonly identity: 'client' | 'operator';
}

/**
 * Opens a channel to the chosen region, hands its client to `use`, and closes it.
 * @throws Failure of the call; one of the transport also names the region and what to do.
 */
export async function withRegion<S extends DescService, T>(
  options: SystemOptions,
  { service, door, identity }: DoorOptions<S>,
  use: (client: RpcClient<S>, region: RegionDoors) => Promise<T>,
): Promise<T> {
  const system = await findSystem(options);
  const region = await chooseRegion(system, options.region);
  const tls = loadTls(join(system.certificates, identity));
  const channel = createChannel({ address: region[door], tls, windowBytes: WINDOW_BYTES, serverRoles: [door] });
  try {
    return await use(createClient(service, channel), region);
  } catch (error) {
    throw withPlace(Failure.from(error), region, region[door]);
  } finally {
    channel.close();
  }
}

/** A failure without a reason of its own comes from the transport, which does not know the region's name. */
export function withPlace(failure: Failure, region: RegionDoors, address: string): Failure {
  const advice = TRANSPORT_ADVICE[failure.code];
  if (advice === undefined || failure.reason !== failure.code) return failure;
  return new Failure(failure.code, `region ${region.name} at ${address}: ${failure.message}; ${advice}`, {
    retryable: failure.retryable,
    cause: failure,
  });
}

const TRANSPORT_ADVICE: Partial<Record<Failure['code'], string>> = {
  UNAVAILABLE: 'see `./meridian regions`, or name another one with --region',
  DEADLINE_EXCEEDED: 'it may be paused or overloaded, see `./meridian regions`',
  UNAUTHENTICATED: 'it does not know this certificate, see --certificates',
};
