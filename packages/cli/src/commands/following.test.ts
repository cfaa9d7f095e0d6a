import { expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { following } from './following.ts';

const refusal = new Failure('FAILED_PRECONDITION', 'guangzhou may not have it', {
  reason: 'RESIDENCY_REGION_NOT_ALLOWED',
  details: { regions: 'shanghai,beijing', addresses: 'shanghai=s:1,beijing=b:1' },
});
const away = new Failure('UNAVAILABLE', 'away', { reason: 'REGION_UNREACHABLE' });

async function went(options: { follow?: boolean; address?: string }, answers: readonly (Failure | undefined)[]) {
  const doors: (string | undefined)[] = [];
  const terminal = { out: { write: () => true }, err: { write: () => true }, interactive: false };
  const given = { state: '', region: 'guangzhou', ...options };
  const failure = await following(given, { terminal } as never, (told) => {
    doors.push(told.address ?? told.region);
    const answer = answers[doors.length - 1];
    return answer === undefined ? Promise.resolve() : Promise.reject(answer);
  }).catch((error: Failure) => error);
  return { doors, failure };
}

test('a refusal is the end, unless it is to be followed', async () => {
  expect(await went({}, [refusal])).toEqual({ doors: ['guangzhou'], failure: refusal });
  expect(await went({ follow: true }, [refusal])).toEqual({ doors: ['guangzhou', 'shanghai'], failure: undefined });
});

test('the next one is asked when one cannot be reached, and no other after that', async () => {
  expect(await went({ follow: true }, [refusal, away])).toMatchObject({ doors: ['guangzhou', 'shanghai', 'beijing'] });
  const other = new Failure('NOT_FOUND', 'no model');
  expect(await went({ follow: true }, [refusal, other])).toEqual({ doors: ['guangzhou', 'shanghai'], failure: other });
  expect(await went({ follow: true }, [away])).toEqual({ doors: ['guangzhou'], failure: away });
});

test('a system that was named by an address is followed by addresses', async () => {
  const { doors } = await went({ follow: true, address: 'g:1' }, [refusal, away, undefined]);
  expect(doors).toEqual(['g:1', 's:1', 'b:1']);
});
