import { create } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { RecognitionSchema } from '@meridian/contracts/recognition';
import { payloadForm, TASK_ROUND_TRIPS } from '@meridian/placement';
import type { CutOrder, CutPicture } from '@meridian/recognition/picture-cutter';
import type { ModelEntry } from '@meridian/replica';
import { parseRule, territoryOf } from '@meridian/residency';
import { createLogger, VirtualClock } from '@meridian/runtime';
import fc from 'fast-check';
import { headerSize } from '../codec/picture-header.ts';
import { choose } from '../placement/choose.ts';
import { Decision } from '../placement/decision.ts';
import { PlacementWindow } from '../placement/window.ts';
import { aTask, aWork, DOORS, MODEL, REGIONS, regionViews, TIMES } from '../tasks/task.builders.ts';
import type { Task } from '../tasks/task.ts';
import { PayloadForms } from './payload-forms.ts';

const SIZE = { width: 4_000, height: 3_000 };
const PIXELS = SIZE.width * SIZE.height;
const SMALL = new Uint8Array(150_000);
const INPUT = { width: 320, height: 320, fit: 'letterbox' };
const manifest = { decoder: { kind: 'rows' }, parts: { model: { input: INPUT } } };
const model = { name: 'centernet-320', digest: MODEL, manifest } as unknown as ModelEntry;

/** A header of a PNG and nothing behind it: here nobody decodes. */
function picture(bytes: number): Uint8Array {
  const all = Buffer.alloc(bytes);
  all.write('\x89PNG\r\n\x1a\n', 'latin1');
  all.writeUInt32BE(SIZE.width, 16);
  all.writeUInt32BE(SIZE.height, 20);
  return all;
}

function world(shrunkMs: number) {
  const [regions, clock] = [regionViews(), new VirtualClock(0)];
  const orders: CutOrder[] = [];
  const cutter = {
    shrunkInMs: (pixels: number) => (shrunkMs * pixels) / PIXELS,
    cut: async (_: Uint8Array, order: CutOrder): Promise<CutPicture> => {
      orders.push(order);
      await clock.advanceAsync(7);
      return { picture: SIZE, pieces: [{ area: { left: 0, top: 0, ...SIZE }, bytes: SMALL }] };
    },
  };
  const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
  const options = { region: 'beijing', regions, cutter, clock, logger };
  const forms = new PayloadForms({ ...options, modelByDigest: (digest) => (digest === MODEL ? model : undefined) });
  return { regions, forms, orders };
}

const taskOf = (bytes: Uint8Array): Task => {
  const { width, height } = headerSize(bytes) ?? { width: 0, height: 0 };
  return { ...aTask(aWork()), pictureBytes: bytes.length, picturePixels: width * height };
};

test('placement believes, and sending does, what the rule that plans are shown by says', async () => {
  const asked = fc.record({
    bytes: fc.integer({ min: 210_000, max: 4_000_000 }),
    mbps: fc.double({ min: 0.5, max: 2_000, noNaN: true }),
    roundTripMs: fc.double({ min: 0, max: 300, noNaN: true }),
    shrunkMs: fc.double({ min: 0, max: 1_000, noNaN: true }),
  });
  const seen = new Set<string>();
  const check = async ({
    bytes,
    mbps,
    roundTripMs,
    shrunkMs,
  }: Record<'bytes' | 'mbps' | 'roundTripMs' | 'shrunkMs', number>) => {
    const { regions, forms, orders } = world(shrunkMs);
    const [view, original] = [regions.get('shanghai'), picture(bytes)];
    if (view === undefined) throw new Error('no shanghai');
    view.measured(roundTripMs);
    view.bandwidthMbps = mbps;
    const task = taskOf(original);
    const way = { roundTripMs: TASK_ROUND_TRIPS * view.roundTripMs, bandwidthMbps: mbps };
    const question = { picture: { bytes, pixels: PIXELS }, modelPixels: 320 * 320, way, downscaleMs: shrunkMs };
    const { form, bytes: sent } = payloadForm({ ...question, isLossyAllowed: false });
    seen.add(form);

    const decision = new Decision(regions.values());
    const territory = territoryOf([{ of: 'the call', rule: parseRule('only=region:shanghai') }], DOORS);
    const limits = { readyRegions: new Set<string>(REGIONS), isRemoved: () => false, window: new PlacementWindow(64) };
    choose(task, decision, { ...limits, territory, downscaling: forms.downscaling(task) });
    const transferMs = (decision.beliefs.wayMs[1] ?? 0) - way.roundTripMs;
    expect(transferMs).toBeCloseTo((form === 'original' ? 0 : shrunkMs) + (sent * 8) / (mbps * 1_000), 6);

    await forms.bytes(task, 1, 'shanghai', () => original);
    expect(orders.length).toBe(form === 'original' ? 0 : 1);
    await forms.bytes(task, 2, 'beijing', () => original);
    expect(orders.length).toBe(form === 'original' ? 0 : 1);
  };
  await fc.assert(fc.asyncProperty(asked, check), { numRuns: 150 });
  expect([...seen].sort()).toEqual(['downscaled-lossless', 'original']);
});

test('what was sent is known until the task ends, and results speak of the original', async () => {
  const { regions, forms } = world(10);
  (regions.get('shanghai') as { bandwidthMbps: number }).bandwidthMbps = 5;
  const original = picture(3_000_000);
  const task = taskOf(original);
  expect(await forms.bytes(task, 3, 'shanghai', () => Promise.resolve(original))).toBe(SMALL);
  expect(forms.sent(task.taskId, 3)).toEqual({ picture: SIZE, bytes: SMALL.length, tookMs: 7 });
  expect(forms.sent(task.taskId, 4)).toBeUndefined();
  const recognition = create(RecognitionSchema, { width: 320, height: 240 });
  const result = {
    taskId: task.taskId,
    fence: 3,
    times: TIMES,
    outcome: { kind: 'recognition' as const, recognition },
  };
  expect(forms.corrected(result).outcome).toMatchObject({ recognition: SIZE });
  expect(forms.corrected({ ...result, fence: 4 })).toEqual({ ...result, fence: 4 });
  forms.ended(task.taskId);
  expect(forms.sent(task.taskId, 3)).toBeUndefined();
});

test('an ordinary picture, one of an unknown header and one for another kind of model go as they came', async () => {
  const { regions, forms, orders } = world(0);
  (regions.get('shanghai') as { bandwidthMbps: number }).bandwidthMbps = 0.1;
  const damaged = new Uint8Array(3_000_000);
  const other = { ...taskOf(picture(3_000_000)), work: aWork({ modelDigest: 'sha256:text' }) };
  for (const [task, bytes] of [
    [taskOf(picture(110_000)), picture(110_000)],
    [taskOf(damaged), damaged],
    [other, picture(3_000_000)],
  ] as const)
    expect(await forms.bytes(task, 1, 'shanghai', () => bytes)).toBe(bytes);
  expect([orders, forms.downscaling(taskOf(damaged)), forms.downscaling(other)]).toEqual([[], undefined, undefined]);
});
