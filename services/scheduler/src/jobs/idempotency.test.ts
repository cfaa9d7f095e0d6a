import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { IdempotencyTable } from './idempotency.ts';

describe('IdempotencyTable', () => {
  const table = () => new IdempotencyTable<number>({ keysMax: 2, keepMs: 100 });

  test('the same key gives the same answer without a second run, until it is forgotten', async () => {
    const keys = table();
    let runs = 0;
    const call = (nowMs: number) => keys.once('k', 'f', nowMs, async () => ++runs);
    expect([await call(0), await call(99), await call(100)]).toEqual([1, 1, 2]);
  });

  test('another content is refused', () => {
    const keys = table();
    void keys.once('k', 'f', 0, async () => 1);
    expect(() => keys.once('k', 'g', 1, async () => 2)).toThrow(
      expect.objectContaining({ code: 'ALREADY_EXISTS', reason: 'IDEMPOTENCY_KEY_REUSED' }),
    );
  });

  test('a retryable failure is forgotten, another one is kept', async () => {
    const keys = table();
    const fail = (code: 'UNAVAILABLE' | 'INVALID_ARGUMENT') => async () => {
      throw new Failure(code, 'no');
    };
    await expect(keys.once('a', 'f', 0, fail('UNAVAILABLE'))).rejects.toThrow();
    await expect(keys.once('a', 'f', 0, async () => 7)).resolves.toBe(7);
    await expect(keys.once('b', 'f', 0, fail('INVALID_ARGUMENT'))).rejects.toThrow();
    await expect(keys.once('b', 'f', 0, async () => 7)).rejects.toThrow();
  });

  test('is bounded', () => {
    const keys = table();
    for (const key of ['a', 'b', 'c', 'd']) void keys.once(key, 'f', 0, async () => 1);
    expect(keys.size).toBe(2);
  });
});
