import { expect, test } from '@jest/globals';
import { modelPixels } from './model-input.ts';

test('the largest of its parts; none for sizes that are not fixed and for what is no manifest', () => {
  const part = (width: unknown, height: unknown) => ({ input: { width, height } });
  expect(modelPixels({ parts: { model: part(320, 240) } })).toBe(76_800);
  expect(modelPixels({ parts: { detector: part(320, 320), recogniser: part(320, 48) } })).toBe(102_400);
  for (const other of [undefined, 7, {}, { parts: {} }, { parts: { model: {} } }, { parts: { model: part('8', 8) } }])
    expect(modelPixels(other)).toBe(0);
});
