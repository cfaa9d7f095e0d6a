import { STREAMS, type StreamName, type StreamRow, SUBJECTS, type SubjectRow } from '@meridian/contracts';
import { assert } from '@meridian/failure';

/** All rows of the subject table, in its order. */
export function rows(): readonly SubjectRow[] {
  return Object.values(SUBJECTS);
}

export function carriesTarget(row: SubjectRow): boolean {
  return row.pattern.includes('{target}');
}

/**
 * The row's subject with the region filled in and every other part open.
 * @param region a region's name, or `*` for all.
 */
export function subjectsOf(row: SubjectRow, region: string): string {
  return row.pattern.replace(/\{(\w+)\}/g, (_, part: string) =>
    part === 'target' || part === 'origin' ? region : '*',
  );
}

export function streamRow(name: StreamName): StreamRow {
  const found = STREAMS.find((row) => row.name === name);
  assert(found !== undefined, `stream ${name} is in the table`);
  return found;
}
