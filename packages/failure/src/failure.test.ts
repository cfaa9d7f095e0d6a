import { describe, expect, test } from '@jest/globals';
import { Failure } from './failure.ts';

describe('Failure.from', () => {
  test('keeps a Failure and hides what an unknown error says', () => {
    const own = new Failure('NOT_FOUND', 'no model x');
    expect(Failure.from(own)).toBe(own);
    const foreign = Failure.from(new Error('secret path'));
    expect(foreign.code).toBe('INTERNAL');
    expect(foreign.message).not.toContain('secret');
    expect(foreign.cause).toBeInstanceOf(Error);
  });

  test('retryability follows the code unless said otherwise', () => {
    expect(new Failure('UNAVAILABLE', 'x').retryable).toBe(true);
    expect(new Failure('INVALID_ARGUMENT', 'x').retryable).toBe(false);
    expect(new Failure('INTERNAL', 'x', { retryable: true }).retryable).toBe(true);
  });
});
