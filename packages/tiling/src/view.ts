import { type Area, type Box, common, overlapRatio, type Point, type Size } from './area.ts';

/** An object as a model reports it: box and points in fractions of what the model was shown. */
export interface TileObject {
  readonly label: string;
  readonly classIndex: number;
  /** 0 … 1. */
  readonly score: number;
  readonly box?: Box | undefined;
  readonly text?: string;
  readonly keypoints?: readonly Point[];
}

/** What a model found in one part of the picture: a tile, or the whole picture. */
export interface Piece {
  readonly area: Area;
  readonly objects: readonly TileObject[];
}

/** An object that has been seen in one piece. */
export interface View {
  readonly object: TileObject;
  readonly area: Area;
  /** In pixels of the picture, as the model gave it. */
  readonly box: Box;
  /** The same, drawn out over the borders of the area that it touches: it may go on there. */
  readonly reach: Box;
  /** It touches a border behind which the picture goes on. */
  readonly isCut: boolean;
}

/** Of a piece's side: a box that ends so close to a border is taken as cut by it. Models are not more exact than that. */
const MARGIN_SHARE = 0.02;
/** Two views agree when what they say of the part that both can see overlaps by this (intersection over union). */
const AGREEMENT_MIN = 0.5;

export function viewOf(object: TileObject, fractions: Box, area: Area, picture: Size): View {
  const box = inPicture(fractions, area);
  const shown = boxOf(area);
  const seen = withMargins(area);
  const [marginX, marginY] = [area.width * MARGIN_SHARE, area.height * MARGIN_SHARE];
  const left = shown.x0 > 0 && box.x0 <= shown.x0 + marginX;
  const top = shown.y0 > 0 && box.y0 <= shown.y0 + marginY;
  const right = shown.x1 < picture.width && box.x1 >= shown.x1 - marginX;
  const bottom = shown.y1 < picture.height && box.y1 >= shown.y1 - marginY;
  const reach = {
    x0: left ? seen.x0 : box.x0,
    y0: top ? seen.y0 : box.y0,
    x1: right ? seen.x1 : box.x1,
    y1: bottom ? seen.y1 : box.y1,
  };
  return { object, area, box, reach, isCut: left || top || right || bottom };
}

/**
 * How far two views from different pieces can be of one object: 0 when they cannot, else AGREEMENT_MIN … 1. Only the part
 * of the picture that both pieces show is compared: there, they must see the same. So a part that a border cut off agrees
 * with the whole object, two parts agree with one another, and a small object in front of a large one with neither.
 * Where two pieces only touch, both are taken to show a little more than they do.
 */
export function agreement(a: View, b: View): number {
  if (a.object.label !== b.object.label || a.object.classIndex !== b.object.classIndex) return 0;
  const shown = common(boxOf(a.area), boxOf(b.area));
  const around = common(withMargins(a.area), withMargins(b.area));
  const touchX = shown.x1 - shown.x0 < (a.area.width + b.area.width) * MARGIN_SHARE;
  const touchY = shown.y1 - shown.y0 < (a.area.height + b.area.height) * MARGIN_SHARE;
  const both = mixed(touchX ? around : shown, touchY ? around : shown);
  const first = mixed(touchX ? a.reach : a.box, touchY ? a.reach : a.box);
  const second = mixed(touchX ? b.reach : b.box, touchY ? b.reach : b.box);
  const ratio = overlapRatio(common(first, both), common(second, both));
  return ratio >= AGREEMENT_MIN ? ratio : 0;
}

function mixed(across: Box, down: Box): Box {
  return { x0: across.x0, y0: down.y0, x1: across.x1, y1: down.y1 };
}

function boxOf({ left, top, width, height }: Area): Box {
  return { x0: left, y0: top, x1: left + width, y1: top + height };
}

function withMargins({ left, top, width, height }: Area): Box {
  const [marginX, marginY] = [width * MARGIN_SHARE, height * MARGIN_SHARE];
  return { x0: left - marginX, y0: top - marginY, x1: left + width + marginX, y1: top + height + marginY };
}

/** Fractions of the area to pixels of the picture. */
function inPicture(box: Box, area: Area): Box {
  return {
    x0: area.left + box.x0 * area.width,
    y0: area.top + box.y0 * area.height,
    x1: area.left + box.x1 * area.width,
    y1: area.top + box.y1 * area.height,
  };
}

/** Points of the view's object in fractions of the picture. */
export function pointsOf({ object, area }: View, picture: Size): readonly Point[] {
  return (object.keypoints ?? []).map(({ x, y }) => ({
    x: (area.left + x * area.width) / picture.width,
    y: (area.top + y * area.height) / picture.height,
  }));
}
