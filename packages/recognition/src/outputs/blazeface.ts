import type { DecoderSpec } from '@meridian/models';
import { type Outputs, outputNamed, rowsOf } from '../output-tensor.ts';
import type { Candidate } from './candidates.ts';
import { sigmoid } from './classifier.ts';

type BlazefaceSpec = Extract<DecoderSpec, { kind: 'blazeface' }>;

/** Grids over the 256-pixel input: cells on a side, and how many anchors share each cell's centre. */
const INPUT_PIXELS = 256;
const GRIDS = [
  { cells: 16, anchors: 2 },
  { cells: 8, anchors: 6 },
] as const;
/** Box centre and size, then six key points, all in pixels relative to the anchor. */
const COLUMNS = 16;

const anchorCentres: readonly (readonly [number, number])[] = GRIDS.flatMap(({ cells, anchors }) =>
  Array.from({ length: cells * cells * anchors }, (_, index) => {
    const cell = Math.floor(index / anchors);
    const column = cell % cells;
    const row = Math.floor(cell / cells);
    return [((column + 0.5) / cells) * INPUT_PIXELS, ((row + 0.5) / cells) * INPUT_PIXELS] as const;
  }),
);

/** Faces with their six key points: eyes, nose, mouth, ears. */
export function faceCandidates(outputs: Outputs, spec: BlazefaceSpec): Candidate[] {
  const boxes = outputNamed(outputs, spec.boxes);
  rowsOf(boxes, spec.boxes, COLUMNS);
  const logits = outputNamed(outputs, spec.scores).data;
  const candidates: Candidate[] = [];
  for (const [index, [anchorX, anchorY]] of anchorCentres.entries()) {
    const score = sigmoid(logits[index] ?? Number.NEGATIVE_INFINITY);
    if (score < spec.scoreThreshold) continue;
    const at = (column: number): number => boxes.data[index * COLUMNS + column] ?? 0;
    const [x, y] = [at(0) + anchorX, at(1) + anchorY];
    const [halfWidth, halfHeight] = [at(2) / 2, at(3) / 2];
    const keypoints = Array.from({ length: 12 }, (_, i) => at(4 + i) + (i % 2 === 0 ? anchorX : anchorY));
    const box = { x0: x - halfWidth, y0: y - halfHeight, x1: x + halfWidth, y1: y + halfHeight };
    candidates.push({ classIndex: 0, score, ...box, keypoints });
  }
  return candidates;
}
