import { describe, expect, test } from '@jest/globals';
import { AnnounceOrder } from './announce-order.ts';

describe('AnnounceOrder', () => {
  test('a claim is overtaken only when a later one was announced a whole grace time ago', () => {
    for (let announcedMs = 10_000; announcedMs < 12_000; announcedMs += 50) {
      const order = new AnnounceOrder(1000);
      let foundMs = 0;
      for (let nowMs = 9_000; nowMs < 16_000 && foundMs === 0; nowMs += 50) {
        order.tick(nowMs);
        if (nowMs === announcedMs) order.announced('q', 9_500);
        if (order.overtaken('q', 9_400)) foundMs = nowMs;
        expect(order.overtaken('q', 9_500) || order.overtaken('other', 9_400)).toBe(false);
      }
      expect(foundMs - announcedMs).toBeGreaterThanOrEqual(1000);
      expect(foundMs - announcedMs).toBeLessThanOrEqual(2050);
    }
  });
});
