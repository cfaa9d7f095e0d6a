import { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';

/** The event or call that led to this call: what follows from it is causally after it. */
export interface Cause {
  /** Id of the causing event. */
  readonly id: string;
  /** What its emitter had seen of the replicated state. */
  readonly vector: VersionVector;
}

export const CAUSATION_ID = 'meridian-causationid';
export const VERSION_VECTOR = 'meridian-versionvector';

/** Same as the ids of the event envelope (packages/contracts). */
const ID = /^[A-Za-z0-9_.:#/@-]{1,128}$/;
/** 64 entries of at most 97 characters fit. */
const VECTOR_CHARS_MAX = 8 * 1024;

/** Metadata of a cause. @throws Failure INVALID_ARGUMENT / CAUSE_INVALID for an id that no event can have. */
export function encodeCause(cause: Cause): [name: string, value: string][] {
  if (!ID.test(cause.id)) throw invalid(CAUSATION_ID);
  return [
    [CAUSATION_ID, cause.id],
    [VERSION_VECTOR, cause.vector.toString()],
  ];
}

/**
 * Reads the cause of a call; undefined when it names none.
 * @throws Failure INVALID_ARGUMENT / CAUSE_INVALID naming the metadata that is wrong. Not retryable: causality that
 * cannot be read must not pass as "no cause".
 */
export function decodeCause(metadata: ReadonlyMap<string, string>): Cause | undefined {
  const id = metadata.get(CAUSATION_ID);
  const text = metadata.get(VERSION_VECTOR);
  if (id === undefined && text === undefined) return undefined;
  if (id === undefined || !ID.test(id)) throw invalid(CAUSATION_ID);
  const vector = text === undefined || text.length > VECTOR_CHARS_MAX ? undefined : VersionVector.parse(text);
  if (vector === undefined) throw invalid(VERSION_VECTOR);
  return { id, vector };
}

function invalid(name: string): Failure {
  return new Failure('INVALID_ARGUMENT', `metadata ${name}: missing or not valid`, { reason: 'CAUSE_INVALID' });
}
