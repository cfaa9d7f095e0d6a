import { describe, expect, test } from '@jest/globals';
import { batchesOf, dealt, KEY_BYTES, keysOf, onceEach, updatesOf, VALUE_BYTES } from './sync-workload.ts';

describe('workload', () => {
  const keys = keysOf(7, 1_000);
  const updates = updatesOf(8, keys, 10_000);

  test('key and value have 53 bytes together, and no two values are alike', () => {
    expect(KEY_BYTES + VALUE_BYTES).toBe(53);
    for (const { key, value } of updates) expect([key.length, value.length]).toEqual([KEY_BYTES, VALUE_BYTES]);
    expect(new Set(updates.map(({ value }) => value)).size).toBe(10_000);
    expect(new Set(keys).size).toBe(1_000);
  });
  test('a seed gives the same writes, another one others', () => {
    expect(updatesOf(8, keysOf(7, 1_000), 10_000)).toEqual(updates);
    expect(updatesOf(9, keys, 10_000)).not.toEqual(updates);
    expect(keysOf(8, 10)).not.toEqual(keysOf(7, 10));
  });
  test('every key is written, and a batch may hold one twice', () => {
    expect(new Set(updates.map(({ key }) => key)).size).toBe(1_000);
    const repeated = batchesOf(updates, 100).filter((batch) => new Set(batch.map(({ key }) => key)).size < 100);
    expect(repeated.length).toBeGreaterThan(50);
    expect(onceEach(1, keys).map(({ key }) => key)).toEqual(keys);
  });
  test('dealing and batching lose and repeat nothing', () => {
    const hands = dealt(updates, 3);
    expect(hands.map(({ length }) => length)).toEqual([3334, 3333, 3333]);
    expect(new Set(hands.flat())).toEqual(new Set(updates));
    expect(batchesOf([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
  });
});
