import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { EntryViewSchema, HistoryItemSchema, VersionViewSchema } from '@meridian/contracts/state';
import { formatChange, formatConflict, formatConflicts, formatEntries, formatHistory, shortValue } from './entry.ts';

// Local time, as it is shown.
const at = BigInt(new Date(2026, 0, 31, 14, 3, 7).getTime());
const version = (region: string, text: string, deleted = false): MessageInitShape<typeof VersionViewSchema> => ({
  ...{ region, author: 'operator/admin', unixMs: at, deleted, value: Buffer.from(text) },
});
const conflict = create(EntryViewSchema, {
  key: 'config/greeting',
  versions: [version('beijing', 'hello'), version('shanghai', 'line 1\nline 2\n')],
  winner: 1,
  conflicted: true,
});
const single = create(EntryViewSchema, { key: 'config/a', versions: [version('beijing', 'x')], winner: 0 });
const lines = (text: string) => text.split('\n');

test('a value is one line of text, or its size; control characters never reach a terminal', () => {
  const short = (value: string | Uint8Array, deleted = false) =>
    shortValue(create(VersionViewSchema, { deleted, value: Buffer.from(value) }));
  expect([short('hello'), short('a\n b'), short(''), short('', true)]).toEqual([
    ...['hello', 'a b', '(empty)', '(deleted)'],
  ]);
  expect([short(new Uint8Array([0xff, 1])), short('\u001b[2J')]).toEqual(['(2 B)', '(4 B)']);
  expect(short('x'.repeat(100))).toBe(`${'x'.repeat(59)}…`);
  expect(short('你好')).toBe('你好');
});

test('a list shows the winner and warns of a conflict', () => {
  expect(lines(formatEntries([single, conflict]))).toEqual([
    'key              region    by              written              value',
    '───────────────  ────────  ──────────────  ───────────────────  ────────────────────────────────────────',
    'config/a         beijing   operator/admin  2026-01-31 14:03:07  x',
    'config/greeting  shanghai  operator/admin  2026-01-31 14:03:07  line 1 line 2  ⚠ in conflict, 2 versions',
  ]);
});

test('a conflict shows every version in full, and which one readers see', () => {
  expect(lines(formatConflict(conflict))).toEqual([
    'config/greeting: in conflict, 2 versions',
    '',
    '[1] operator/admin in beijing at 2026-01-31 14:03:07',
    '    hello',
    '',
    '[2] operator/admin in shanghai at 2026-01-31 14:03:07  ← readers see this one',
    '    line 1',
    '    line 2',
  ]);
  expect(formatConflict(single)).toContain('not in conflict');
  expect(formatConflicts([])).toBe('no conflicts');
  expect(lines(formatConflicts([conflict]))[2]).toBe(
    'config/greeting         2  beijing shanghai  2026-01-31 14:03:07',
  );
});

test('a history marks what is not superseded; a change is one line', () => {
  const items = [
    create(HistoryItemSchema, { version: version('beijing', '', true), current: true }),
    create(HistoryItemSchema, { version: version('shanghai', 'old') }),
  ];
  expect(lines(formatHistory('config/a', items)).slice(2)).toEqual([
    '2026-01-31 14:03:07  beijing   operator/admin  current  (deleted)',
    '2026-01-31 14:03:07  shanghai  operator/admin           old',
  ]);
  expect(formatHistory('config/a', [])).toBe('config/a has no history in this region');
  expect(formatChange(single)).toBe('14:03:07.000  beijing     operator/admin    config/a = x');
});
