/** A rectangle in pixels of the upright picture; right and bottom are not part of it. */
export interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Corners in pixels of the picture, or in fractions of an area. */
export interface Box {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export function wholeOf({ width, height }: Size): Area {
  return { left: 0, top: 0, width, height };
}

/** What both have in common; nothing of it when its sides are not positive. */
export function common(a: Box, b: Box): Box {
  return {
    x0: Math.max(a.x0, b.x0),
    y0: Math.max(a.y0, b.y0),
    x1: Math.min(a.x1, b.x1),
    y1: Math.min(a.y1, b.y1),
  };
}

export function union(a: Box, b: Box): Box {
  return {
    x0: Math.min(a.x0, b.x0),
    y0: Math.min(a.y0, b.y0),
    x1: Math.max(a.x1, b.x1),
    y1: Math.max(a.y1, b.y1),
  };
}

/** Square pixels; 0 for boxes with a side that is not positive. */
export function surface({ x0, y0, x1, y1 }: Box): number {
  return x1 > x0 && y1 > y0 ? (x1 - x0) * (y1 - y0) : 0;
}

/** Intersection over union, 0 … 1. */
export function overlapRatio(a: Box, b: Box): number {
  const both = surface(common(a, b));
  return both === 0 ? 0 : both / (surface(a) + surface(b) - both);
}

/** Compares by position, then size: an order that does not depend on where an area stands in a list. */
export function byPosition(a: Area, b: Area): number {
  return a.top - b.top || a.left - b.left || a.height - b.height || a.width - b.width;
}
