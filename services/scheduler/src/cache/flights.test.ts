import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { Flights } from './flights.ts';

const patiently = <V>(shared: Promise<V>): Promise<V> => shared;

/** Runs that the test ends, in the order in which they began. */
function runs() {
  const begun: PromiseWithResolvers<string>[] = [];
  const run = () => {
    const next = Promise.withResolvers<string>();
    begun.push(next);
    return next.promise;
  };
  return { begun, run };
}

const reasonOf = (call: Promise<unknown>) => call.then(String, (error: unknown) => Failure.from(error).reason);

describe('callers that want the same at the same time', () => {
  test('share one run and its value; a later one runs anew; other keys run by themselves', async () => {
    const flights = new Flights<string>();
    const { begun, run } = runs();
    const calls = [flights.once('k', run, patiently), flights.once('k', run, patiently)];
    const other = flights.once('other', run, patiently);
    expect(begun).toHaveLength(2);
    begun[0]?.resolve('v');
    begun[1]?.resolve('w');
    expect(await Promise.all(calls)).toEqual([
      { value: 'v', shared: false },
      { value: 'v', shared: true },
    ]);
    expect((await other).value).toBe('w');
    expect(flights.size).toBe(0);
    const again = flights.once('k', run, patiently);
    begun[2]?.resolve('x');
    expect(await again).toEqual({ value: 'x', shared: false });
  });

  test('share its failure', async () => {
    const flights = new Flights<string>();
    const { begun, run } = runs();
    const calls = [flights.once('k', run, patiently), flights.once('k', run, patiently)].map(reasonOf);
    begun[0]?.reject(new Failure('INVALID_ARGUMENT', 'no', { reason: 'PICTURE_TRUNCATED' }));
    expect(await Promise.all(calls)).toEqual(['PICTURE_TRUNCATED', 'PICTURE_TRUNCATED']);
    expect([begun.length, flights.size]).toEqual([1, 0]);
  });

  test.each(['CANCELLED', 'DEADLINE_EXCEEDED'] as const)(
    'when the first ends with %s, one of the others runs',
    async (code) => {
      const flights = new Flights<string>();
      const { begun, run } = runs();
      const first = reasonOf(flights.once('k', run, patiently));
      const others = [flights.once('k', run, patiently), flights.once('k', run, patiently)];
      begun[0]?.reject(new Failure(code, 'its own', { reason: 'ITS_OWN' }));
      expect(await first).toBe('ITS_OWN');
      await Promise.resolve();
      expect(begun).toHaveLength(2);
      begun[1]?.resolve('v');
      expect((await Promise.all(others)).map(({ shared }) => shared)).toEqual([false, true]);
      expect([begun.length, flights.size]).toEqual([2, 0]);
    },
  );

  test('one that leaves while it waits leaves alone', async () => {
    const flights = new Flights<string>();
    const { begun, run } = runs();
    const first = flights.once('k', run, patiently);
    const leaving = flights.once('k', run, () => Promise.reject(new Failure('CANCELLED', 'left', { reason: 'LEFT' })));
    expect(await reasonOf(leaving)).toBe('LEFT');
    begun[0]?.resolve('v');
    expect((await first).value).toBe('v');
    expect(begun).toHaveLength(1);
  });
});
