import { expect, test } from '@jest/globals';
import { subjectMatches } from './subject-match.ts';

test.each([
  ['a.b', 'a.b', true],
  ['a.b', 'a.c', false],
  ['a.*', 'a.b', true],
  ['a.*', 'a', false],
  ['a.*', 'a.b.c', false],
  ['*.b.*', 'a.b.c', true],
  ['a.>', 'a.b', true],
  ['a.>', 'a.b.c.d', true],
  ['a.>', 'a', false],
  ['>', 'a', true],
  ['a', 'a.b', false],
  ['a.b', 'a', false],
  ['*', '', true],
])('%s matches %s: %p', (pattern, subject, expected) => {
  expect(subjectMatches(pattern, subject)).toBe(expected);
});
