import { type Dot, formatDot, parseDot, type VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import type { Entry } from './entry.ts';
import { KEY_CHARS_MAX } from './entry-codec.ts';

/** A record as someone saw it: whoever goes on from there needs it, or what superseded it. */
export interface RequiredRecord {
  /** '' when only the dot is known: then everything that its author wrote before is waited for as well. */
  readonly key: string;
  readonly dot: Dot;
}

/** Records of one claim or question. */
export const REQUIRED_MAX = 16;

/**
 * Whether a reader of this entry and vector sees the record or a newer one. The entry of the key decides where it can: the
 * vector lags while anything else that the dot's author wrote before is still missing.
 */
export function hasRecord({ dot }: RequiredRecord, entry: Entry | undefined, vector: VersionVector): boolean {
  return vector.contains(dot) || entry?.context.contains(dot) === true;
}

/** For people: `model/small beijing@…=7`. */
export function formatRecord({ key, dot }: RequiredRecord): string {
  return key === '' ? formatDot(dot) : `${key} ${formatDot(dot)}`;
}

export function encodeRecord({ key, dot }: RequiredRecord): { readonly key: string; readonly dot: string } {
  return { key, dot: formatDot(dot) };
}

/** @throws Failure INVALID_ARGUMENT / RECORD_INVALID. Not retryable. */
export function decodeRecords(wire: readonly { readonly key: string; readonly dot: string }[]): RequiredRecord[] {
  if (wire.length > REQUIRED_MAX) throw invalid(`more than ${REQUIRED_MAX} records`);
  return wire.map(({ key, dot: text }) => {
    const dot = parseDot(text);
    if (dot === undefined) throw invalid(`not a dot: ${JSON.stringify(text.slice(0, 60))}`);
    if (key.length > KEY_CHARS_MAX) throw invalid(`not a key: ${JSON.stringify(key.slice(0, 60))}`);
    return { key, dot };
  });
}

function invalid(problem: string): Failure {
  return new Failure('INVALID_ARGUMENT', `required records: ${problem}`, { reason: 'RECORD_INVALID' });
}
