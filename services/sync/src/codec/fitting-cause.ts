import { VersionVector } from '@meridian/causality';
import type { Cause } from '../replication/protocol.ts';

/** A cause whose vector would not fit into the event's keeps its id only: the event must be sent all the same. */
export function fittingCause(cause: Cause, vector: VersionVector): Cause {
  const joined = vector.merge(cause.vector);
  return joined.size < VersionVector.ENTRIES_MAX ? cause : { id: cause.id, vector: VersionVector.EMPTY };
}
