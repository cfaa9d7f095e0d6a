import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { CAUSATION_ID, decodeCause, encodeCause, VERSION_VECTOR } from './cause.ts';

const vector = VersionVector.of([[actorId('beijing', 1n), 3]]);

describe('cause in metadata', () => {
  test('round trip; absent is no cause', () => {
    const cause = decodeCause(new Map(encodeCause({ id: 'beijing.scheduler.x1.7', vector })));
    expect(cause?.id).toBe('beijing.scheduler.x1.7');
    expect(cause?.vector.toString()).toBe(vector.toString());
    expect(decodeCause(new Map())).toBeUndefined();
  });

  test.each([
    ['an id with a comma', { [CAUSATION_ID]: 'a,b', [VERSION_VECTOR]: '' }],
    ['an empty id', { [CAUSATION_ID]: '', [VERSION_VECTOR]: '' }],
    ['no id', { [VERSION_VECTOR]: vector.toString() }],
    ['no vector', { [CAUSATION_ID]: 'a' }],
    ['a vector that is none', { [CAUSATION_ID]: 'a', [VERSION_VECTOR]: 'beijing=1' }],
    ['a vector that is too long', { [CAUSATION_ID]: 'a', [VERSION_VECTOR]: 'x'.repeat(10_000) }],
  ])('%s is refused, not taken for no cause', (_, metadata) => {
    expect(() => decodeCause(new Map(Object.entries(metadata)))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'CAUSE_INVALID' }),
    );
  });
});
