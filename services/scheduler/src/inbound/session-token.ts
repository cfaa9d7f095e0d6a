import { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';

const STALE_RETRY_MS = 200;

/**
 * Read-your-writes: a caller that has seen more of the shared state than this region must not be answered from less.
 * @throws Failure INVALID_ARGUMENT / VERSION_VECTOR_INVALID; FAILED_PRECONDITION / STALE with a retry delay.
 */
export function requireSeen(token: string, seen: VersionVector): void {
  if (token === '') return;
  const wanted = VersionVector.parse(token);
  if (wanted === undefined)
    throw new Failure('INVALID_ARGUMENT', 'version_vector: not a version vector', { reason: 'VERSION_VECTOR_INVALID' });
  if (seen.dominates(wanted)) return;
  throw new Failure('FAILED_PRECONDITION', 'this region has not seen yet what the caller has; try again shortly', {
    reason: 'STALE',
    retryable: true,
    retryDelayMs: STALE_RETRY_MS,
  });
}
