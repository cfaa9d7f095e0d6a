import { describe, expect, test } from '@jest/globals';
import { EvidenceWindow, WINDOW_MODELS_MAX, WINDOW_TASKS_MAX } from './evidence-window.ts';

const good = (inferenceMs: number, atMs = 0) => ({ isError: false, inferenceMs, atMs });
const bad = (atMs = 0) => ({ isError: true, inferenceMs: 0, atMs });

describe('EvidenceWindow', () => {
  test('counts errors, and takes the percentile of what was answered', () => {
    const window = new EvidenceWindow();
    for (let ms = 1; ms <= 100; ms++) window.add('m', good(ms));
    for (let i = 0; i < 10; i++) window.add('m', bad());
    expect(window.of('m')).toEqual({ tasks: 110, errors: 10, p95Ms: 95 });
    expect(window.of('other')).toEqual({ tasks: 0, errors: 0, p95Ms: 0 });
  });

  test('looks at what came since', () => {
    const window = new EvidenceWindow();
    window.add('m', good(10, 1));
    window.add('m', good(20, 2));
    window.add('m', bad(3));
    expect(window.of('m', 2)).toEqual({ tasks: 2, errors: 1, p95Ms: 20 });
    expect(window.of('m', 3)).toEqual({ tasks: 1, errors: 1, p95Ms: 0 });
  });

  test('forgets the oldest tasks, and the models without tasks for longest', () => {
    const window = new EvidenceWindow();
    window.add('m', bad());
    for (let i = 0; i < WINDOW_TASKS_MAX; i++) window.add('m', good(1));
    expect(window.of('m')).toEqual({ tasks: WINDOW_TASKS_MAX, errors: 0, p95Ms: 1 });
    for (let i = 1; i < WINDOW_MODELS_MAX; i++) window.add(`m${i}`, good(1));
    window.add('m', good(1));
    window.add('one more', good(1));
    expect([window.of('m').tasks, window.of('m1').tasks]).toEqual([WINDOW_TASKS_MAX, 0]);
  });
});
