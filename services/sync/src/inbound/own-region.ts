import { Failure } from '@meridian/failure';
import type { CallContext } from '@meridian/rpc';

/**
 * Other regions have their own sync service: what crosses a link goes through the brokers.
 * @throws Failure PERMISSION_DENIED / OTHER_REGION
 */
export function requireOwnRegion({ peer }: Pick<CallContext, 'peer'>, region: string): void {
  if (peer.region !== region)
    throw new Failure('PERMISSION_DENIED', `this is the state of ${region}: ask your own region`, {
      reason: 'OTHER_REGION',
    });
}
