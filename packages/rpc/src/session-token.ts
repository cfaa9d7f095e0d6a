import { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';

/**
 * A session token is the version vector of an answer. A caller that carries it to another region is never answered there
 * from less than it has seen: read-your-writes and monotonic reads.
 */
const STALE_RETRY_MS = 200;

/** @throws Failure INVALID_ARGUMENT / VERSION_VECTOR_INVALID naming the field. Not retryable. */
export function parseSessionToken(token: string, field = 'version_vector'): VersionVector {
  const wanted = VersionVector.parse(token);
  if (wanted !== undefined) return wanted;
  throw new Failure('INVALID_ARGUMENT', `${field}: not a version vector`, { reason: 'VERSION_VECTOR_INVALID' });
}

/**
 * @param hasSeen whether this region has seen all that a vector means: a vector leaves out ended lives
 * @throws Failure INVALID_ARGUMENT / VERSION_VECTOR_INVALID; FAILED_PRECONDITION / STALE with a retry delay.
 */
export function requireSeen(token: string, hasSeen: (vector: VersionVector) => boolean): void {
  if (token !== '' && !hasSeen(parseSessionToken(token))) throw stale();
}

/** FAILED_PRECONDITION / STALE. Retryable: the region learns what it lacks as soon as a link to it is up. */
export function stale(): Failure {
  return new Failure('FAILED_PRECONDITION', 'this region has not seen yet what the caller has; try again shortly', {
    reason: 'STALE',
    retryable: true,
    retryDelayMs: STALE_RETRY_MS,
  });
}
