import { describe, expect, test } from '@jest/globals';
import { allowedRegions } from './rule.ts';

const REGIONS = [
  { name: 'beijing', zone: 'cn-north' },
  { name: 'tianjin', zone: 'cn-north' },
  { name: 'guangzhou', zone: 'cn-south' },
];

describe('allowedRegions', () => {
  test('an empty rule allows all; names and zones add up', () => {
    expect(allowedRegions(undefined, REGIONS)).toBeUndefined();
    expect(allowedRegions({ regions: [], zones: [] }, REGIONS)).toBeUndefined();
    expect(allowedRegions({ regions: [], zones: ['cn-north'] }, REGIONS)).toEqual(new Set(['beijing', 'tianjin']));
    expect(allowedRegions({ regions: ['guangzhou'], zones: ['cn-north'] }, REGIONS)?.size).toBe(3);
  });

  test('what is unknown is named, with what is known', () => {
    expect(() => allowedRegions({ regions: ['paris'], zones: [] }, REGIONS)).toThrow(
      expect.objectContaining({
        code: 'NOT_FOUND',
        reason: 'REGION_UNKNOWN',
        message: expect.stringContaining('beijing'),
      }),
    );
    expect(() => allowedRegions({ regions: [], zones: ['eu'] }, REGIONS)).toThrow('residency.zones');
  });
});
