import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { Failure } from '@meridian/failure';
import { createChannel, createClient, loadTls, type RpcClient } from '@meridian/rpc';
import { chooseRegion, findSystem, type RegionDoors, type SystemOptions } from './running-system.ts';

/** Answers are small; pictures go the other way, where the server's window counts. */
const WINDOW_BYTES = 2 ** 20;

export interface DoorOptions<S> {
  readonly service: S;
  readonly door: 'scheduler' | 'sync' | 'optimizer';
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
  const channel = createChannel({
    address: region[door],
    tls: identityIn(system.certificates, identity),
    windowBytes: WINDOW_BYTES,
    serverRoles: [door],
  });
  try {
    return await use(createClient(service, channel), region);
  } catch (error) {
    throw withPlace(Failure.from(error), region, region[door]);
  } finally {
    channel.close();
  }
}

function identityIn(certificates: string, identity: DoorOptions<unknown>['identity']) {
  const folder = join(certificates, identity);
  try {
    return loadTls(folder);
  } catch (cause) {
    throw new Failure('FAILED_PRECONDITION', `no ca.pem, cert.pem and key.pem in ${folder}: is --certificates right?`, {
      reason: 'TLS_FILES_UNREADABLE',
      cause,
    });
  }
}

/**
 * A failure without a reason of its own comes from the transport, which does not know the region's name. The one that
 * comes back has a reason: it is not changed again.
 */
export function withPlace(failure: Failure, region: RegionDoors, address: string): Failure {
  const known = TRANSPORT[failure.code];
  if (known === undefined || failure.reason !== failure.code) return failure;
  const named = region.name !== address;
  const place = named ? `region ${region.name} at ${address}` : address;
  const advice = named ? known.advice : (known.adviceOfAddress ?? known.advice);
  return new Failure(failure.code, `${place}: ${failure.message}; ${advice}`, {
    retryable: failure.retryable,
    reason: known.reason,
    cause: failure,
  });
}

interface TransportProblem {
  readonly reason: string;
  readonly advice: string;
  /** When the caller gave an address and no region. */
  readonly adviceOfAddress?: string;
}

const TRANSPORT: Partial<Record<Failure['code'], TransportProblem>> = {
  UNAVAILABLE: {
    reason: 'REGION_UNREACHABLE',
    advice: 'see `./meridian regions`, or name another one with --region',
    adviceOfAddress: 'are the address and the certificates right?',
  },
  DEADLINE_EXCEEDED: {
    reason: 'NO_ANSWER_IN_TIME',
    advice: 'it, or the regions that may run it, may be down, paused or overloaded: see `./meridian regions`',
  },
  UNAUTHENTICATED: {
    reason: 'CERTIFICATE_REFUSED',
    advice: 'it does not know this certificate, see --certificates',
  },
};
