import { expect, describe as group, test } from '@jest/globals';
import { compare, isClean } from './checker.ts';

const a = { digest: 'a', content: '1' };
const b = { digest: 'b', content: '2' };

group('checker', () => {
  test('is clean for the same answers in another order', () => {
    expect(isClean(compare([a, b], [b, a]))).toBe(true);
  });
  test('finds what is missing, repeated, different and unknown', () => {
    const verdict = compare([a, b], [a, a, { digest: 'c', content: '' }]);
    expect(verdict).toEqual({ missing: ['b'], repeated: ['a'], different: [], unknown: ['c'] });
    expect(compare([a], [{ ...a, content: 'x' }]).different).toEqual(['a']);
  });
});
