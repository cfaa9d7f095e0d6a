import { describe, expect, test } from '@jest/globals';
import { formatBytes, formatMs, formatNumber, shortDigest } from './quantity.ts';
import { displayWidth, formatTable } from './table.ts';

describe('formatTable', () => {
  test('is as wide as its cells; numbers stand on the right, trailing space is cut', () => {
    expect(
      formatTable(
        ['name', 'ms', 'note'],
        [
          ['a', '5 ms', ''],
          ['long name', '1,200 ms', 'x'],
        ],
      ),
    ).toBe(
      ['name             ms  note', '─────────  ────────  ────', 'a              5 ms', 'long name  1,200 ms  x'].join(
        '\n',
      ),
    );
  });

  test('wide characters take two cells', () => {
    expect(displayWidth('北京')).toBe(4);
    expect(
      formatTable(
        ['r', 'x'],
        [
          ['北京', 'a'],
          ['b', 'c'],
        ],
      )
        .split('\n')
        .slice(2),
    ).toEqual(['北京  a', 'b     c']);
  });

  test('without rows it is the header', () => {
    expect(formatTable(['a', 'bc'], [])).toBe('a  bc\n─  ──');
  });
});

describe('quantities', () => {
  test.each([
    [0, '0 ms'],
    [0.4234, '0.42 ms'],
    [12.34, '12.3 ms'],
    [1234.5, '1,235 ms'],
    [12_345, '12.3 s'],
    [Number.NaN, '–'],
  ])('%d ms reads %s', (ms, text) => expect(formatMs(ms)).toBe(text));

  test('numbers, bytes and digests', () => {
    expect(formatNumber(1_234_567)).toBe('1,234,567');
    expect(formatBytes(512)).toBe('512 B');
    expect(formatBytes(1.5 * 2 ** 20)).toBe('1.5 MiB');
    expect(shortDigest(`sha256:${'ab'.repeat(32)}`)).toBe('abababababab');
    expect(shortDigest(new Uint8Array([1, 255]))).toBe('01ff');
  });
});
