import { expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { requireSeen } from './session-token.ts';

const a = actorId('beijing', 1n);
const b = actorId('shanghai', 2n);
const seen = VersionVector.of([
  [a, 3],
  [b, 1],
]);
const refusal = (token: string) => {
  try {
    requireSeen(token, (vector) => seen.dominates(vector));
    return undefined;
  } catch (thrown) {
    return thrown;
  }
};

test('a token that is covered passes, one that is ahead in any entry is STALE with a delay, nonsense is refused', () => {
  for (const token of ['', `${a}=3`, seen.toString()]) expect(refusal(token)).toBeUndefined();
  const stale = { code: 'FAILED_PRECONDITION', reason: 'STALE', retryable: true, retryDelayMs: 200 };
  for (const token of [`${a}=4`, `${a}=1,${b}=2`, `${actorId('guangzhou', 1n)}=1`])
    expect(refusal(token)).toMatchObject(stale);
  expect(refusal('beijing=1')).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'VERSION_VECTOR_INVALID' });
});
