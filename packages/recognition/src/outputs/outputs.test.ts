import { describe, expect, test } from '@jest/globals';
import { type DecoderSpec, decoderSchema, inputSchema } from '@meridian/models';
import fc from 'fast-check';
import type { Outputs } from '../output-tensor.ts';
import { faceCandidates } from './blazeface.ts';
import { type Candidate, overlap, selectObjects, suppressOverlaps } from './candidates.ts';
import { decodeClassifier } from './classifier.ts';
import { boxCandidates, rowCandidates, yoloCandidates } from './detections.ts';

const input = inputSchema.parse({ name: 'x', width: 100, height: 200, fit: 'stretch', layout: 'NHWC', type: 'uint8' });
const placement = { left: 0, top: 0, width: 100, height: 200 };

function spec<K extends DecoderSpec['kind']>(kind: K, fields: object): Extract<DecoderSpec, { kind: K }> {
  const parsed = decoderSchema.parse({ kind, ...fields });
  return parsed as Extract<DecoderSpec, { kind: K }>;
}

function outputs(named: Record<string, [number[], number[]]>): Outputs {
  return new Map(Object.entries(named).map(([name, [dims, data]]) => [name, { dims, data: Float32Array.from(data) }]));
}

describe('classifier', () => {
  const labels = ['cat', 'dog', 'hen'];

  test('softmax of logits, best first, no overflow', () => {
    const found = decodeClassifier(
      outputs({
        y: [
          [1, 3],
          [1000, 1001, 0],
        ],
      }),
      spec('classifier', { output: 'y', activation: 'softmax', scoreThreshold: 0.1 }),
      labels,
    );
    expect(found.map(({ label, classIndex }) => [label, classIndex])).toEqual([
      ['dog', 1],
      ['cat', 0],
    ]);
    expect(found[0]?.score).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
  });

  test('takes topK, and refuses another number of classes than labels', () => {
    const one = spec('classifier', { output: 'y', activation: 'none', topK: 1, scoreThreshold: 0 });
    const found = decodeClassifier(
      outputs({
        y: [
          [1, 3],
          [0.2, 0.5, 0.3],
        ],
      }),
      one,
      labels,
    );
    expect(found.map(({ label }) => label)).toEqual(['dog']);
    const two = outputs({
      y: [
        [1, 2],
        [0, 0],
      ],
    });
    expect(() => decodeClassifier(two, one, labels)).toThrow(/shape \[1, 2\], the manifest 3 labels/);
    expect(() => decodeClassifier(outputs({ z: [[1], [0]] }), one, labels)).toThrow(/names output y, the model has z/);
  });
});

describe('detectors', () => {
  test('rows', () => {
    const named = outputs({
      y: [
        [1, 2, 7],
        [1, 2, 3, 4, 0.9, 7, 0, 0, 0, 0, 0, 0.1, 1, 0],
      ],
    });
    expect(rowCandidates(named, spec('rows', { output: 'y' }))).toEqual([
      { classIndex: 7, score: Math.fround(0.9), x0: 1, y0: 2, x1: 3, y1: 4 },
    ]);
    expect(() =>
      rowCandidates(
        outputs({
          y: [
            [1, 5],
            [1, 2, 3, 4, 5],
          ],
        }),
        spec('rows', { output: 'y' }),
      ),
    ).toThrow(/6 columns or more/);
  });

  test.each<[string, object, number[]]>([
    ['pixels', { boxFormat: 'x0y0x1y1', boxUnit: 'pixel' }, [10, 20, 30, 40]],
    ['y first', { boxFormat: 'y0x0y1x1', boxUnit: 'pixel' }, [20, 10, 40, 30]],
    ['fractions', { boxFormat: 'x0y0x1y1', boxUnit: 'fraction' }, [0.125, 0.25, 0.25, 0.5]],
    ['centre and size', { boxFormat: 'cxcywh', boxUnit: 'pixel' }, [20, 30, 20, 20]],
  ])('boxes in %s', (unit, fields, box) => {
    const named = outputs({ b: [[1, 1, 4], box], s: [[1, 1], [0.5]], c: [[1, 1], [3]] });
    const boxes = spec('boxes', { boxes: 'b', scores: 's', classes: 'c', firstClass: 1, ...fields });
    const expected = unit === 'fractions' ? [12.5, 50, 25, 100] : [10, 20, 30, 40];
    const [found] = boxCandidates(named, boxes, input);
    expect([found?.x0, found?.y0, found?.x1, found?.y1]).toEqual(expected);
    expect(found?.classIndex).toBe(2);
  });

  test('boxes with a score column for each class, the first the background', () => {
    const fields = { boxes: 'b', scores: 's', boxFormat: 'x0y0x1y1', boxUnit: 'pixel', firstClass: 1 };
    const named = outputs({
      b: [
        [1, 1, 4],
        [1, 2, 3, 4],
      ],
      s: [
        [1, 1, 3],
        [0.9, 0.1, 0.8],
      ],
    });
    expect(boxCandidates(named, spec('boxes', fields), input).map(({ classIndex }) => classIndex)).toEqual([1]);
    const uneven = outputs({
      b: [
        [1, 2, 4],
        [1, 2, 3, 4, 5, 6, 7, 8],
      ],
      s: [
        [1, 3],
        [1, 1, 1],
      ],
    });
    expect(() => boxCandidates(uneven, spec('boxes', fields), input)).toThrow(/not one score each/);
  });

  test('yolo, features first or last', () => {
    const first = outputs({
      y: [
        [1, 6, 2],
        [20, 0, 30, 0, 20, 0, 20, 0, 0.1, 0, 0.7, 0.2],
      ],
    });
    const last = outputs({
      y: [
        [1, 2, 6],
        [20, 30, 20, 20, 0.1, 0.7, 0, 0, 0, 0, 0, 0.2],
      ],
    });
    const expected = [{ classIndex: 1, score: Math.fround(0.7), x0: 10, y0: 20, x1: 30, y1: 40 }];
    expect(yoloCandidates(first, spec('yolo', { output: 'y' }), 2)).toEqual(expected);
    expect(yoloCandidates(last, spec('yolo', { output: 'y' }), 2)).toEqual(expected);
    expect(() => yoloCandidates(first, spec('yolo', { output: 'y' }), 9)).toThrow(/want an axis of 13/);
  });

  test('blazeface: anchors of both grids, boxes and key points relative to them', () => {
    const scores = new Array<number>(896).fill(-50);
    const boxes = new Array<number>(896 * 16).fill(0);
    scores[2 * 16 + 3] = 3; // fine grid, row 1, column 1, second anchor → centre (24, 24)
    scores[512 + 6 * 9] = 2; // coarse grid, row 1, column 1 → centre (48, 48)
    boxes.splice((2 * 16 + 3) * 16, 6, 1, -1, 8, 4, 5, 6);
    const named = outputs({ b: [[1, 896, 16], boxes], s: [[1, 896, 1], scores] });
    const [fine, coarse, ...more] = faceCandidates(named, spec('blazeface', { boxes: 'b', scores: 's' }));
    expect(more).toEqual([]);
    expect(fine).toMatchObject({ x0: 21, y0: 21, x1: 29, y1: 25, score: 1 / (1 + Math.exp(-3)) });
    expect(fine?.keypoints?.slice(0, 4)).toEqual([29, 30, 24, 24]);
    expect(coarse).toMatchObject({ x0: 48, y0: 48 });
  });
});

const candidate: fc.Arbitrary<Candidate> = fc
  .tuple(fc.nat(2), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(80), fc.nat(80), fc.nat(40), fc.nat(40))
  .map(([classIndex, score, x0, y0, w, h]) => ({ classIndex, score, x0, y0, x1: x0 + w + 1, y1: y0 + h + 1 }));

describe('selection', () => {
  test('of overlapping candidates of a class the best stays, and every other one overlaps a better one', () => {
    fc.assert(
      fc.property(fc.array(candidate, { maxLength: 30 }), fc.double({ min: 0, max: 1, noNaN: true }), (all, iou) => {
        const sorted = [...all].sort((a, b) => b.score - a.score);
        const kept = suppressOverlaps(sorted, iou);
        const rivals = (a: Candidate, b: Candidate) => a !== b && a.classIndex === b.classIndex && overlap(a, b) > iou;
        for (const one of kept) expect(kept.some((other) => rivals(one, other))).toBe(false);
        for (const one of sorted.filter((each) => !kept.includes(each))) {
          expect(kept.some((other) => rivals(one, other) && other.score >= one.score)).toBe(true);
        }
      }),
    );
  });

  test('objects come by falling score, as fractions, with labels, at most the limit', () => {
    const found = selectObjects(
      [
        { classIndex: 1, score: 0.4, x0: 0, y0: 0, x1: 50, y1: 100, keypoints: [10, 20] },
        { classIndex: 9, score: 0.8, x0: 50, y0: 100, x1: 150, y1: 300 },
        { classIndex: 0, score: 0.6, x0: 0, y0: 0, x1: 50, y1: 100 },
        { classIndex: 0, score: 0.7, x0: 500, y0: 0, x1: 550, y1: 100 },
      ],
      { iouThreshold: 0.5, limit: 3, labels: ['cat', 'dog'], placement },
    );
    expect(found).toEqual([
      { label: 'class 9', classIndex: 9, score: 0.8, box: { x0: 0.5, y0: 0.5, x1: 1, y1: 1 } },
      { label: 'cat', classIndex: 0, score: 0.6, box: { x0: 0, y0: 0, x1: 0.5, y1: 0.5 } },
      {
        label: 'dog',
        classIndex: 1,
        score: 0.4,
        box: { x0: 0, y0: 0, x1: 0.5, y1: 0.5 },
        keypoints: [{ x: 0.1, y: 0.1 }],
      },
    ]);
  });
});
