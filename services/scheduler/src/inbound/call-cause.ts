import { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import type { CallContext } from '@meridian/rpc';
import type { Cause } from '../tasks/task.ts';

/**
 * The event that the caller names as the cause of its call; what follows from the call names it, too.
 * @throws Failure RESOURCE_EXHAUSTED / VECTOR_FULL when its vector and ours do not fit one event. Not retryable.
 */
export function causesOf({ cause }: Pick<CallContext, 'cause'>, seen: VersionVector): readonly Cause[] {
  if (cause === undefined) return [];
  if (seen.merge(cause.vector).size <= VersionVector.ENTRIES_MAX) return [cause];
  throw new Failure('RESOURCE_EXHAUSTED', 'the version vector of the cause does not fit', {
    reason: 'VECTOR_FULL',
    retryable: false,
  });
}
