import { expect, test } from '@jest/globals';
import { shownPixels } from './shown-pixels.ts';

const manifest = (input: object, kind = 'rows') => ({ decoder: { kind }, parts: { model: { input } } });

test('what the input takes; none of models that see pictures in full and of what is no manifest', () => {
  const one = manifest({ width: 320, height: 240, fit: 'letterbox' });
  expect([shownPixels(one), shownPixels(one)]).toEqual([76_800, 76_800]);
  expect(shownPixels(manifest({ width: 320, height: 240, fit: 'stretch' }))).toBe(76_800);
  expect(shownPixels(manifest({ width: 224, height: 224, fit: 'crop', shorterSide: 300 }))).toBe(120_000);
  const text = manifest({ width: 320, height: 240, fit: 'letterbox' }, 'text');
  for (const other of [undefined, 7, {}, { parts: {} }, text, manifest({ width: '8', height: 8, fit: 'stretch' })])
    expect(shownPixels(other)).toBe(0);
});
