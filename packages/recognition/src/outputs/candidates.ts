import { boxWithin, type Placement, pointWithin } from '../geometry.ts';
import type { RecognizedObject } from '../recognition.ts';

/** A possible object, box and key points in input pixels. */
export interface Candidate {
  readonly classIndex: number;
  readonly score: number;
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
  /** x, y, x, y, … */
  readonly keypoints?: readonly number[];
}

export interface SelectionOptions {
  readonly iouThreshold: number;
  readonly limit: number;
  readonly labels: readonly string[];
  readonly placement: Placement;
}

/** Comparing boxes is quadratic: a model that fires everywhere must not hold the worker. */
const CANDIDATES_MAX = 1000;

/** Best first, without boxes that overlap a better one of the same class, at most `limit`, as fractions of the picture. */
export function selectObjects(candidates: Candidate[], options: SelectionOptions): RecognizedObject[] {
  const best = candidates.sort((a, b) => b.score - a.score).slice(0, CANDIDATES_MAX);
  const objects: RecognizedObject[] = [];
  for (const candidate of suppressOverlaps(best, options.iouThreshold)) {
    if (objects.length === options.limit) break;
    const box = boxWithin(options.placement, candidate.x0, candidate.y0, candidate.x1, candidate.y1);
    if (box === undefined) continue;
    const { classIndex, score, keypoints } = candidate;
    const object = { label: labelOf(options.labels, classIndex), classIndex, score, box };
    objects.push(keypoints === undefined ? object : { ...object, keypoints: points(keypoints, options.placement) });
  }
  return objects;
}

export function labelOf(labels: readonly string[], classIndex: number): string {
  return labels[classIndex] ?? `class ${classIndex}`;
}

/** Non-maximum suppression: of overlapping candidates of a class only the best stays. Wants falling scores. */
export function suppressOverlaps(candidates: readonly Candidate[], iouThreshold: number): Candidate[] {
  const kept: Candidate[] = [];
  const keptByClass = new Map<number, Candidate[]>();
  for (const candidate of candidates) {
    const rivals = keptByClass.get(candidate.classIndex) ?? [];
    if (rivals.some((rival) => overlap(rival, candidate) > iouThreshold)) continue;
    rivals.push(candidate);
    keptByClass.set(candidate.classIndex, rivals);
    kept.push(candidate);
  }
  return kept;
}

/** Intersection over union, 0 … 1. */
export function overlap(a: Candidate, b: Candidate): number {
  const width = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0);
  const height = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - shared);
}

function points(coordinates: readonly number[], placement: Placement): { x: number; y: number }[] {
  return Array.from({ length: coordinates.length / 2 }, (_, i) =>
    pointWithin(placement, coordinates[2 * i] ?? 0, coordinates[2 * i + 1] ?? 0),
  );
}
