import { expect, test } from '@jest/globals';
import { VirtualClock } from '@meridian/runtime';
import { LogLimiter } from './log-limiter.ts';

test('one a second and key; the next one says how many were left out', () => {
  const clock = new VirtualClock();
  const limiter = new LogLimiter(clock);
  expect(limiter.admit('a')).toEqual({ suppressed: 0 });
  expect(limiter.admit('a')).toBeUndefined();
  expect(limiter.admit('b')).toEqual({ suppressed: 0 });
  clock.advance(999);
  expect(limiter.admit('a')).toBeUndefined();
  clock.advance(1);
  expect(limiter.admit('a')).toEqual({ suppressed: 2 });
});

test('the number of keys is bounded', () => {
  const limiter = new LogLimiter(new VirtualClock());
  const admitted = Array.from({ length: 1000 }, (_, n) => limiter.admit(`k${n}`)).filter((one) => one !== undefined);
  expect(admitted).toHaveLength(256);
});
