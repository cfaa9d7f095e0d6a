import type { DecoderSpec } from '@meridian/models';
import type { Point } from '../recognition.ts';
import { grown, leastRectangle, type RotatedRectangle } from './rotated-rectangle.ts';

/**
 * Differentiable binarisation (DB): the network says for each pixel how likely it lies in the shrunk core of a line.
 * Cores are connected pixels above a threshold; each becomes its least rectangle, grown back to the line's size.
 */
type TextSpec = Extract<DecoderSpec, { kind: 'ppocr' }>;

export interface ProbabilityMap {
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

export interface DetectedLine {
  /** In pixels of the map. */
  readonly rectangle: RotatedRectangle;
  /** Mean probability of the core's pixels. */
  readonly score: number;
}

/** Cores and lines thinner than this are noise (PaddleOCR's values), in pixels of the map. */
const CORE_SIDE_MIN = 3;
const LINE_SIDE_MIN = 5;

/** The best `linesMax` lines, by falling score. */
export function detectLines(map: ProbabilityMap, spec: TextSpec): DetectedLine[] {
  const lines: DetectedLine[] = [];
  for (const { outline, score } of findCores(map, spec.binaryThreshold)) {
    if (score < spec.boxThreshold) continue;
    const core = leastRectangle(outline);
    if (Math.min(core.width, core.height) < CORE_SIDE_MIN) continue;
    // The paper's offset for a polygon: area × ratio ÷ perimeter.
    const distance = (core.width * core.height * spec.unclipRatio) / (2 * (core.width + core.height));
    const rectangle = grown(core, distance);
    if (Math.min(rectangle.width, rectangle.height) >= LINE_SIDE_MIN) lines.push({ rectangle, score });
  }
  return lines.sort((a, b) => b.score - a.score).slice(0, spec.linesMax);
}

export interface Core {
  /** The outer corners of the first and the last pixel of each row: they span the core's hull. */
  readonly outline: readonly Point[];
  /** Mean probability of its pixels: of the core itself, because the rectangle of a bent line is half empty. */
  readonly score: number;
}

/** Groups of pixels above the threshold that touch each other, at corners too. */
export function findCores(map: ProbabilityMap, threshold: number): Core[] {
  const { data, width, height } = map;
  const open = new Uint8Array(width * height);
  for (let i = 0; i < open.length; i += 1) open[i] = (data[i] ?? 0) > threshold ? 1 : 0;
  const stack = new Int32Array(width * height);
  const cores: Core[] = [];
  for (let start = 0; start < open.length; start += 1) {
    if (open[start] === 1) cores.push(takeCore(start, open, stack, map));
  }
  return cores;
}

/** Takes one group off `open`. Each pixel enters the stack once, because it leaves `open` when it does. */
function takeCore(start: number, open: Uint8Array, stack: Int32Array, map: ProbabilityMap): Core {
  const { width, height } = map;
  const extents = new Map<number, { first: number; last: number }>();
  let size = 1;
  let sum = 0;
  let count = 0;
  stack[0] = start;
  open[start] = 0;
  while (size > 0) {
    size -= 1;
    const pixel = stack[size] ?? 0;
    const x = pixel % width;
    const y = (pixel - x) / width;
    sum += map.data[pixel] ?? 0;
    count += 1;
    widen(extents, x, y);
    for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny += 1) {
      for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx += 1) {
        const neighbour = ny * width + nx;
        if (open[neighbour] !== 1) continue;
        open[neighbour] = 0;
        stack[size] = neighbour;
        size += 1;
      }
    }
  }
  return { outline: outlineOf(extents), score: sum / count };
}

function widen(extents: Map<number, { first: number; last: number }>, x: number, y: number): void {
  const extent = extents.get(y);
  if (extent === undefined) extents.set(y, { first: x, last: x });
  else if (x < extent.first) extent.first = x;
  else if (x > extent.last) extent.last = x;
}

function outlineOf(extents: ReadonlyMap<number, { first: number; last: number }>): Point[] {
  return Array.from(extents, ([y, { first, last }]) => [
    { x: first, y },
    { x: last + 1, y },
    { x: first, y: y + 1 },
    { x: last + 1, y: y + 1 },
  ]).flat();
}
