import type { Point } from '../recognition.ts';

/** A rectangle at any angle. `along` is the unit vector of its width, `across` the one of its height. */
export interface RotatedRectangle {
  readonly centre: Point;
  readonly width: number;
  readonly height: number;
  readonly along: Point;
  readonly across: Point;
}

/** The rectangle of least area around the points (at least one): one of its sides lies on a side of the hull. */
export function leastRectangle(points: readonly Point[]): RotatedRectangle {
  const hull = convexHull(points);
  let least: RotatedRectangle | undefined;
  for (const [index, from] of hull.entries()) {
    const to = hull[(index + 1) % hull.length] ?? from;
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    const along = length === 0 ? { x: 1, y: 0 } : { x: (to.x - from.x) / length, y: (to.y - from.y) / length };
    const rectangle = rectangleAlong(hull, along);
    if (least === undefined || rectangle.width * rectangle.height < least.width * least.height) least = rectangle;
  }
  return upright(least ?? rectangleAlong([{ x: 0, y: 0 }], { x: 1, y: 0 }));
}

/** Grown by `distance` on every side. */
export function grown(rectangle: RotatedRectangle, distance: number): RotatedRectangle {
  return { ...rectangle, width: rectangle.width + 2 * distance, height: rectangle.height + 2 * distance };
}

/** Stretched per axis, e.g. from a model's input to the picture. Exact where both factors are equal. */
export function scaledBy(rectangle: RotatedRectangle, factor: Point): RotatedRectangle {
  const { centre, along, across } = rectangle;
  const stretch = (axis: Point): number => Math.hypot(axis.x * factor.x, axis.y * factor.y);
  return {
    centre: { x: centre.x * factor.x, y: centre.y * factor.y },
    width: rectangle.width * stretch(along),
    height: rectangle.height * stretch(across),
    along,
    across,
  };
}

/** Corners in reading order: start of the line's top, end of its top, end of its bottom, start of its bottom. */
export function cornersOf({ centre, width, height, along, across }: RotatedRectangle): Point[] {
  return [
    [-1, -1],
    [1, -1],
    [1, 1],
    [-1, 1],
  ].map(([u = 0, v = 0]) => ({
    x: centre.x + (u * width * along.x + v * height * across.x) / 2,
    y: centre.y + (u * width * along.y + v * height * across.y) / 2,
  }));
}

/** A line much higher than wide is written downwards: turn it, so that `along` is the direction of reading. */
export function turnedIfVertical(rectangle: RotatedRectangle, ratio: number): RotatedRectangle {
  if (rectangle.height < rectangle.width * ratio) return rectangle;
  const { along, across, width, height } = rectangle;
  return { ...rectangle, along: across, across: { x: -along.x, y: -along.y }, width: height, height: width };
}

function rectangleAlong(hull: readonly Point[], along: Point): RotatedRectangle {
  const across = { x: -along.y, y: along.x };
  const u = hull.map((point) => point.x * along.x + point.y * along.y);
  const v = hull.map((point) => point.x * across.x + point.y * across.y);
  const [u0, u1, v0, v1] = [Math.min(...u), Math.max(...u), Math.min(...v), Math.max(...v)];
  const [middleU, middleV] = [(u0 + u1) / 2, (v0 + v1) / 2];
  return {
    centre: { x: middleU * along.x + middleV * across.x, y: middleU * along.y + middleV * across.y },
    width: u1 - u0,
    height: v1 - v0,
    along,
    across,
  };
}

/** The same rectangle with `along` pointing right (within 45°) and `across` down. */
function upright(rectangle: RotatedRectangle): RotatedRectangle {
  const { along, across, width, height } = rectangle;
  const swap = Math.abs(along.x) < Math.abs(along.y);
  const first = swap ? across : along;
  const right = first.x < 0 ? { x: -first.x, y: -first.y } : first;
  const down = { x: -right.y, y: right.x };
  return { ...rectangle, along: right, across: down, width: swap ? height : width, height: swap ? width : height };
}

/** Andrew's monotone chain. */
function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  if (sorted.length < 3) return sorted;
  const lower = chain(sorted);
  const upper = chain(sorted.reverse());
  return [...lower.slice(0, -1), ...upper.slice(0, -1)];
}

function chain(sorted: readonly Point[]): Point[] {
  const hull: Point[] = [];
  for (const point of sorted) {
    while (hull.length >= 2 && turn(hull.at(-2), hull.at(-1), point) <= 0) hull.pop();
    hull.push(point);
  }
  return hull;
}

function turn(a: Point | undefined, b: Point | undefined, c: Point): number {
  if (a === undefined || b === undefined) return 0;
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}
