import { z } from 'zod';

/** Golden pictures of one model: some, not a test set. */
export const GOLDEN_PICTURES_MAX = 8;
/** Of one golden picture. */
export const GOLDEN_PICTURE_BYTES_MAX = 4 * 2 ** 20;
/** Objects that one golden picture names. */
export const GOLDEN_OBJECTS_MAX = 20;

const fraction = z.number().min(0).max(1);
const FOUND_SHOWN = 3;

/** An object that the model must find. Others may be found, too. */
const expectedObject = z.strictObject({
  label: z.string().min(1).max(200),
  /** Text models: what must be read, as a part of one line. */
  text: z.string().min(1).max(200).optional(),
  scoreMin: fraction.default(0.3),
  /** x0 y0 x1 y1 as fractions of the upright picture. Left out: anywhere. */
  box: z.tuple([fraction, fraction, fraction, fraction]).optional(),
  /** Intersection over union that the found box must have with `box`. */
  overlapMin: fraction.default(0.5),
});

/** A picture with a known answer. Its bytes travel as the weights do, by digest. */
export const goldenPicture = z.strictObject({
  /** File name beside the manifest; informative afterwards. */
  file: z.string().regex(/^[\w.-]{1,128}$/),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'expected sha256: and 64 lower-case hexadecimal digits'),
  bytes: z.int().positive().max(GOLDEN_PICTURE_BYTES_MAX),
  expect: z.array(expectedObject).min(1).max(GOLDEN_OBJECTS_MAX),
});

export type GoldenPicture = z.output<typeof goldenPicture>;
type ExpectedObject = z.output<typeof expectedObject>;

/** What a model found, as far as it is compared. */
export interface FoundObject {
  readonly label: string;
  readonly score: number;
  readonly text?: string;
  readonly box?: { readonly x0: number; readonly y0: number; readonly x1: number; readonly y1: number } | undefined;
}

/** @returns what the answer lacks, for people; empty when it is right. */
export function goldenProblem({ file, expect }: GoldenPicture, found: readonly FoundObject[]): string {
  const missing = expect.find((expected) => !found.some((object) => matches(expected, object)));
  if (missing === undefined) return '';
  const best = [...found].sort((a, b) => b.score - a.score).slice(0, FOUND_SHOWN);
  const shown = best.map(({ label, score }) => `${label} ${score.toFixed(2)}`).join(', ') || 'nothing';
  const what = [
    missing.label,
    missing.text && JSON.stringify(missing.text),
    missing.box && `at ${missing.box.join(' ')}`,
  ];
  return `golden picture ${file}: expected ${what.filter(Boolean).join(' ')} from ${missing.scoreMin} on, found ${shown}`;
}

function matches({ label, text, scoreMin, box, overlapMin }: ExpectedObject, found: FoundObject): boolean {
  if (found.label !== label || found.score < scoreMin) return false;
  if (text !== undefined && found.text?.includes(text) !== true) return false;
  return box === undefined || (found.box !== undefined && overlap(box, found.box) >= overlapMin);
}

function overlap([x0, y0, x1, y1]: readonly number[], box: NonNullable<FoundObject['box']>): number {
  const [ax0 = 0, ay0 = 0, ax1 = 0, ay1 = 0] = [x0, y0, x1, y1];
  const width = Math.min(ax1, box.x1) - Math.max(ax0, box.x0);
  const height = Math.min(ay1, box.y1) - Math.max(ay0, box.y0);
  const both = Math.max(0, width) * Math.max(0, height);
  const either = (ax1 - ax0) * (ay1 - ay0) + (box.x1 - box.x0) * (box.y1 - box.y0) - both;
  return either <= 0 ? 0 : both / either;
}
