import { describe, expect, test } from '@jest/globals';
import { type GoldenPicture, goldenPicture, goldenProblem } from './golden.ts';
import { blobsOf, modelDigest, parseManifest } from './manifest.ts';

const digest = (character: string) => `sha256:${character.repeat(64)}`;
const picture = (expected: object): GoldenPicture =>
  goldenPicture.parse({ file: 'cat.jpg', digest: digest('b'), bytes: 5, expect: [expected] });
const box = { x0: 0.1, y0: 0.1, x1: 0.5, y1: 0.5 };
const found = [
  { label: 'dog', score: 0.9, box },
  { label: 'cat', score: 0.5, box },
];

describe('a golden picture', () => {
  test.each([
    ['a label', { label: 'cat' }],
    ['a label where it is', { label: 'cat', box: [0.1, 0.1, 0.5, 0.45] }],
    ['a label of another score', { label: 'cat', scoreMin: 0.5 }],
  ])('with %s that was found is answered', (_, expected) => {
    expect(goldenProblem(picture(expected), found)).toBe('');
  });

  test.each([
    ['another label', { label: 'bird' }, 'expected bird from 0.3 on, found dog 0.90, cat 0.50'],
    ['a higher score', { label: 'cat', scoreMin: 0.6 }, 'expected cat from 0.6 on'],
    ['another place', { label: 'cat', box: [0.5, 0.5, 0.9, 0.9] }, 'expected cat at 0.5 0.5 0.9 0.9'],
    ['a text', { label: 'cat', text: 'A' }, 'expected cat "A"'],
  ])('with %s is not', (_, expected, problem) => {
    expect(goldenProblem(picture(expected), found)).toContain(problem);
  });

  test('is answered by a line of text that contains what it names, and not by nothing', () => {
    const line = picture({ label: 'text', text: '中关村' });
    expect(goldenProblem(line, [{ label: 'text', score: 0.9, text: '北京中关村' }])).toBe('');
    expect(goldenProblem(line, [])).toContain('found nothing');
  });
});

describe('a manifest', () => {
  const input = { name: 'x', width: 224, height: 224, fit: 'stretch', layout: 'NCHW', type: 'float32' };
  const plain = {
    ...{ name: 'small', licence: 'MIT', source: 'here', task: 'classification', labels: ['cat'] },
    parts: { model: { file: 'm.onnx', digest: digest('a'), bytes: 10, input } },
    decoder: { kind: 'classifier', output: 'y', activation: 'none' },
  };
  const golden = [{ file: 'cat.jpg', digest: digest('b'), bytes: 5, expect: [{ label: 'cat' }] }];

  test('names weights and golden pictures once each', () => {
    const twice = parseManifest({ ...plain, golden: [...golden, ...golden] });
    expect(blobsOf(twice)).toEqual([
      { file: 'm.onnx', digest: digest('a'), bytes: 10 },
      { file: 'cat.jpg', digest: digest('b'), bytes: 5 },
    ]);
    expect(blobsOf(parseManifest(plain))).toHaveLength(1);
  });

  test('without golden pictures has the digest that it had before there were any', () => {
    expect(JSON.stringify(parseManifest(plain))).not.toContain('golden');
    expect(modelDigest(parseManifest({ ...plain, golden }))).not.toBe(modelDigest(parseManifest(plain)));
  });

  test('is refused when a golden picture names nothing, or a label that the model does not have', () => {
    expect(() => parseManifest({ ...plain, golden: [{ ...golden[0], expect: [] }] })).toThrow(/golden\.0\.expect/);
    expect(() => parseManifest({ ...plain, golden: [{ ...golden[0], expect: [{ label: 'dog' }] }] })).toThrow(
      /golden\.0: .*dog/,
    );
  });
});
