import { create } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { ExplainTaskResponseSchema } from '@meridian/contracts/region';
import { formatExplanation } from './explanation.ts';

const beijing = { region: 'beijing', serviceMs: 30, priceMs: 90, waitMs: 10, totalMs: 160, outstanding: 2, slots: 1 };
const shanghai = { region: 'shanghai', roundTripMs: 50, transferMs: 1, serviceMs: 30, totalMs: 81, slots: 1 };
const guangzhou = {
  region: 'guangzhou',
  exclusion: 'residency',
  roundTripMs: 100,
  serviceMs: 30,
  totalMs: 130,
  slots: 1,
};
const common = { priority: 'normal', modelDigest: `sha256:${'ab'.repeat(32)}`, waitWeight: 4 };

test('a placement: the winner first, every term, why not, and by how much it won', () => {
  const decision = {
    ...common,
    attempt: 1,
    winner: 'shanghai',
    restricted: true,
    allowedRegions: ['beijing', 'shanghai'],
  };
  const decisions = [{ ...decision, candidates: [beijing, shanghai, guangzhou] }];
  const text = formatExplanation(create(ExplainTaskResponseSchema, { taskId: 'beijing-1', decisions }));
  expect(text.split('\n').map((line) => line.trimEnd())).toEqual([
    'task beijing-1',
    '',
    'attempt 1: placed in shanghai, –',
    'priority normal · model abababababab · residency only beijing, shanghai',
    '   region     round trips  transfer  service  price   wait   total  ahead  slots  why not',
    '─  ─────────  ───────────  ────────  ───────  ─────  ─────  ──────  ─────  ─────  ─────────────────────────────────',
    '→  shanghai         50 ms      1 ms    30 ms   0 ms   0 ms   81 ms      0      1',
    '   beijing           0 ms      0 ms    30 ms  90 ms  10 ms  160 ms      2      1',
    '   guangzhou       100 ms      0 ms    30 ms   0 ms   0 ms  130 ms      0      1  not allowed by the residency rule',
    'total = round trips + transfer + service + price + 4 × wait',
    'shanghai won: 79 ms less than beijing, the next one',
  ]);
});

test('a preferred region, and whose rule keeps another one out', () => {
  const far = { ...beijing, region: 'wuhan', exclusion: '', totalMs: 900 };
  const kept = { ...guangzhou, notAllowed: 'tenant acme: never=region:guangzhou' };
  const decision = { ...common, attempt: 1, winner: 'wuhan', restricted: true, preferredRegions: ['wuhan'] };
  const decisions = [{ ...decision, allowedRegions: ['shanghai', 'wuhan'], candidates: [far, shanghai, kept] }];
  const text = formatExplanation(create(ExplainTaskResponseSchema, { taskId: 't', decisions }));
  expect(text).toContain('residency only shanghai, wuhan, wuhan first');
  expect(text).toContain('not allowed by the residency rule: tenant acme: never=region:guangzhou');
  expect(text).toContain('wuhan won: no other preferred region could take it');
});

test('a task that waits, and a last resort', () => {
  const none = { ...common, candidates: [{ ...beijing, exclusion: 'down' }] };
  const last = { ...common, attempt: 2, winner: 'beijing', candidates: [{ ...beijing, exclusion: 'just-failed' }] };
  const text = formatExplanation(create(ExplainTaskResponseSchema, { taskId: 't', decisions: [none, last] }));
  expect(text).toContain('waits: no region can take it now');
  expect(text).toContain('down: silent for too long');
  expect(text).toContain('beijing is the last resort: nobody else could take it');
});
