import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { TaskResultSchema } from '@meridian/contracts/recognition';
import { formatRecognition } from './recognition.ts';

const common = {
  taskId: 'beijing-scheduler-1-7',
  entryRegion: 'beijing',
  region: 'shanghai',
  worker: 'shanghai/1',
  model: 'centernet-320',
  attempts: 2,
  timings: { queueMs: 26, transferMs: 51.23, decodeMs: 4.5, inferenceMs: 30, returnMs: 25.1, totalMs: 136.83 },
};

describe('formatRecognition', () => {
  test('shows objects with boxes in pixels, the route and where the time went', () => {
    const result = create(TaskResultSchema, {
      ...common,
      outcome: {
        case: 'recognition',
        value: {
          width: 512,
          height: 256,
          objects: [
            { label: 'person', score: 0.914, box: { x0: 0.25, y0: 0, x1: 0.75, y1: 1 } },
            { label: 'line', score: 0.5, text: 'NASA' },
          ],
        },
      },
    });
    expect(formatRecognition(result)).toBe(
      [
        '  object       score  box in 512 × 256 pixels',
        '  ───────────  ─────  ───────────────────────',
        '  person        91 %  128,0 – 384,256',
        '  line “NASA”   50 %  –',
        '  entry beijing, ran in shanghai on shanghai/1 · 2 attempts · centernet-320 · task beijing-scheduler-1-7',
        '  137 ms = queue 26 ms + transfer 51.2 ms + decode 4.5 ms + inference 30 ms + return 25.1 ms',
      ].join('\n'),
    );
  });

  test('says of tiles how many they were, and which regions ran them', () => {
    const tile = (left: number, region: string) => ({ left, width: 320, height: 320, region, bytes: 100 * 1024 });
    const whole = { width: 576, height: 320, region: 'beijing', bytes: 56 * 1024 };
    const tiles = [tile(0, 'shanghai'), tile(256, 'beijing'), whole];
    const value = { width: 576, height: 320, objects: [] };
    const result = { ...common, tiles, outcome: { case: 'recognition' as const, value } };
    expect(formatRecognition(create(TaskResultSchema, result))).toContain(
      '\n  tiles: 2 of 320 × 320 and the whole picture · ran in beijing 2, shanghai 1 · 256 KiB sent\n',
    );
    const uncut = { ...result, tiles: [whole] };
    expect(formatRecognition(create(TaskResultSchema, uncut))).toContain(
      '\n  tiles: not cut, the model sees the picture in full · ran in beijing 1 · 56 KiB sent\n',
    );
  });

  test('an error says its code, reason and whether trying again helps', () => {
    const error = {
      code: 'INVALID_ARGUMENT',
      reason: 'PICTURE_TRUNCATED',
      message: 'the picture ends early',
      retryable: false,
    };
    const text = formatRecognition(create(TaskResultSchema, { ...common, outcome: { case: 'error', value: error } }));
    expect(text).toContain('INVALID_ARGUMENT / PICTURE_TRUNCATED: the picture ends early\n');
    expect(text).not.toContain('tried again');
  });

  test('many objects are cut, and none are said', () => {
    const objects = Array.from({ length: 25 }, () => ({ label: 'cat', score: 0.5 }));
    const recognition = (value: object) =>
      create(TaskResultSchema, { ...common, outcome: { case: 'recognition', value } });
    expect(formatRecognition(recognition({ objects }))).toContain('… and 5 more');
    expect(formatRecognition(recognition({ width: 3, height: 2 }))).toContain('nothing recognised (3 × 2)');
  });
});
