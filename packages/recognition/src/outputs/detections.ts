import type { DecoderSpec, InputSpec } from '@meridian/models';
import { mismatch, type Outputs, outputNamed, rowsOf } from '../output-tensor.ts';
import type { Candidate } from './candidates.ts';

type RowsSpec = Extract<DecoderSpec, { kind: 'rows' }>;
type BoxesSpec = Extract<DecoderSpec, { kind: 'boxes' }>;
type YoloSpec = Extract<DecoderSpec, { kind: 'yolo' }>;

/** Rows of x0 y0 x1 y1 score class, in input pixels; further columns are ignored. */
export function rowCandidates(outputs: Outputs, spec: RowsSpec): Candidate[] {
  const { data, dims } = outputNamed(outputs, spec.output);
  const columns = dims.at(-1) ?? 0;
  if (columns < 6) throw mismatch(`output ${spec.output} has shape [${dims.join(', ')}]; rows have 6 columns or more`);
  const candidates: Candidate[] = [];
  for (let at = 0; at < data.length; at += columns) {
    const [x0 = 0, y0 = 0, x1 = 0, y1 = 0, score = 0, label = 0] = columnsAt(data, at, 6);
    if (score >= spec.scoreThreshold) candidates.push({ classIndex: Math.round(label), score, x0, y0, x1, y1 });
  }
  return candidates;
}

/** Boxes and scores in separate tensors. Without `classes`, scores have one column for each class. */
export function boxCandidates(outputs: Outputs, spec: BoxesSpec, input: InputSpec): Candidate[] {
  const boxes = outputNamed(outputs, spec.boxes);
  const count = rowsOf(boxes, spec.boxes, 4);
  const scores = outputNamed(outputs, spec.scores);
  const classes = spec.classes === undefined ? undefined : outputNamed(outputs, spec.classes);
  const columns = count === 0 ? 1 : scores.data.length / count;
  if (!Number.isInteger(columns) || (classes !== undefined && columns !== 1)) {
    const shape = scores.dims.join(', ');
    throw mismatch(`output ${spec.scores} has shape [${shape}]; with ${count} boxes that is not one score each`);
  }
  const candidates: Candidate[] = [];
  for (let box = 0; box < count; box += 1) {
    // firstClass 1 without a classes tensor: column 0 is the background.
    for (let column = classes === undefined ? spec.firstClass : 0; column < columns; column += 1) {
      const score = scores.data[box * columns + column] ?? 0;
      if (score < spec.scoreThreshold) continue;
      const classIndex = (classes?.data[box] ?? column) - spec.firstClass;
      candidates.push({ classIndex, score, ...corners(columnsAt(boxes.data, box * 4, 4), spec, input) });
    }
  }
  return candidates;
}

/** [4 + classes, n] or [n, 4 + classes]: cx cy w h in input pixels, then one score for each class. */
export function yoloCandidates(outputs: Outputs, spec: YoloSpec, classes: number): Candidate[] {
  const { data, dims } = outputNamed(outputs, spec.output);
  const features = 4 + classes;
  const featuresFirst = dims.at(-2) === features;
  if (!featuresFirst && dims.at(-1) !== features) {
    const message = `output ${spec.output} has shape [${dims.join(', ')}]; ${classes} labels want an axis of ${features}`;
    throw mismatch(message);
  }
  const count = data.length / features;
  const at = (row: number, feature: number): number =>
    data[featuresFirst ? feature * count + row : row * features + feature] ?? 0;
  const candidates: Candidate[] = [];
  for (let row = 0; row < count; row += 1) {
    let best = 4;
    for (let feature = 5; feature < features; feature += 1) if (at(row, feature) > at(row, best)) best = feature;
    const score = at(row, best);
    if (score < spec.scoreThreshold) continue;
    const halfWidth = at(row, 2) / 2;
    const halfHeight = at(row, 3) / 2;
    const [x, y] = [at(row, 0), at(row, 1)];
    const box = { x0: x - halfWidth, y0: y - halfHeight, x1: x + halfWidth, y1: y + halfHeight };
    candidates.push({ classIndex: best - 4, score, ...box });
  }
  return candidates;
}

function corners(
  [a = 0, b = 0, c = 0, d = 0]: readonly number[],
  spec: BoxesSpec,
  input: InputSpec,
): { x0: number; y0: number; x1: number; y1: number } {
  const scaleX = spec.boxUnit === 'fraction' ? input.width : 1;
  const scaleY = spec.boxUnit === 'fraction' ? input.height : 1;
  const scaled = (x0: number, y0: number, x1: number, y1: number) => ({
    x0: x0 * scaleX,
    y0: y0 * scaleY,
    x1: x1 * scaleX,
    y1: y1 * scaleY,
  });
  if (spec.boxFormat === 'x0y0x1y1') return scaled(a, b, c, d);
  if (spec.boxFormat === 'y0x0y1x1') return scaled(b, a, d, c);
  return scaled(a - c / 2, b - d / 2, a + c / 2, b + d / 2);
}

function columnsAt(data: ArrayLike<number>, start: number, count: number): number[] {
  return Array.from({ length: count }, (_, column) => data[start + column] ?? 0);
}
