import { type Area, type Box, byPosition, common, type Size, surface, union } from './area.ts';
import { agreement, type Piece, pointsOf, type TileObject, type View, viewOf } from './view.ts';

/** Taken of one piece, the best: more says that the model finds something everywhere. */
export const PIECE_OBJECTS_MAX = 100;
/** Of a merged result, the best: it has to fit where the result of one picture does. */
export const MERGED_OBJECTS_MAX = 1000;
/** A view whose box has so much of every other view is the object; otherwise all of them together are. */
const CONTAINED_MIN = 0.8;

/**
 * The objects of a picture from what was found in its pieces, each once: those that were seen in several pieces are one,
 * and parts of one object that tile borders cut are joined. This is the greedy non-maximum merging of SAHI (Akyon,
 * Altinuc, Temizel, ICIP 2022) with another match: not overlap over the smaller box, which takes two persons, one
 * in front of the other, for one and halves with a thin overlap for two, but agreement on what both pieces show.
 *
 * 1. The result does not depend on the order of the pieces, nor of the objects in them.
 * 2. Objects of the same piece are never joined directly nor through others: the model has told them apart.
 * 3. What was seen in one piece only, or by one piece whole, comes out with exactly the box that it had there.
 * 4. Objects without a box, and pieces that are given twice, count once.
 *
 * @returns by falling score, boxes in fractions of the picture
 */
export function mergePieces(pieces: readonly Piece[], picture: Size): readonly TileObject[] {
  const views = viewsOf(pieces, picture);
  const groups = groupsOf(views);
  return groups
    .map((group) => mergedOf(group, picture))
    .sort(byScore)
    .slice(0, MERGED_OBJECTS_MAX);
}

/** In an order that is the same for the same content. */
function viewsOf(pieces: readonly Piece[], picture: Size): readonly View[] {
  const distinct = new Map<string, Piece>();
  for (const piece of pieces) {
    const { left, top, width, height } = piece.area;
    distinct.set(`${left} ${top} ${width} ${height}`, piece);
  }
  return [...distinct.values()]
    .sort((a, b) => byPosition(a.area, b.area))
    .flatMap(({ area, objects }) =>
      [...objects]
        .sort(byScore)
        .slice(0, PIECE_OBJECTS_MAX)
        .flatMap((object) => (object.box === undefined ? [] : [viewOf(object, object.box, area, picture)])),
    );
}

/** Joins the views that agree most first, never two of one piece. */
function groupsOf(views: readonly View[]): readonly (readonly View[])[] {
  const groups = new Map(views.map((view) => [view, [view]]));
  for (const { first, second } of matchesOf(views)) {
    const into = groups.get(first) ?? [];
    const from = groups.get(second) ?? [];
    if (into === from || shareArea(into, from)) continue;
    into.push(...from);
    for (const view of from) groups.set(view, into);
  }
  return [...new Set(groups.values())];
}

interface Match {
  readonly first: View;
  readonly second: View;
  readonly ratio: number;
  /** Of the views in the order of their content: decides among equals. */
  readonly order: number;
}

/** By falling agreement. Only views whose reaches overlap from left to right are compared. */
function matchesOf(views: readonly View[]): readonly Match[] {
  const matches: Match[] = [];
  const sorted = views.map((view, i) => ({ view, i })).sort((a, b) => a.view.reach.x0 - b.view.reach.x0 || a.i - b.i);
  for (const [at, a] of sorted.entries()) {
    for (let next = at + 1; next < sorted.length; next++) {
      const b = sorted[next];
      if (b === undefined || b.view.reach.x0 >= a.view.reach.x1) break;
      if (a.view.area === b.view.area) continue;
      const ratio = agreement(a.view, b.view);
      if (ratio === 0) continue;
      const order = Math.min(a.i, b.i) * views.length + Math.max(a.i, b.i);
      matches.push({ first: a.view, second: b.view, ratio, order });
    }
  }
  return matches.sort((x, y) => y.ratio - x.ratio || x.order - y.order);
}

function shareArea(a: readonly View[], b: readonly View[]): boolean {
  const areas = new Set<Area>(a.map(({ area }) => area));
  return b.some(({ area }) => areas.has(area));
}

function mergedOf(group: readonly View[], picture: Size): TileObject {
  const [best, ...others] = [...group].sort((a, b) => byScore(a.object, b.object) || byPosition(a.area, b.area));
  if (best === undefined) throw new RangeError('a group has at least one view');
  const all = [best, ...others];
  const whole = all.find((view) => !view.isCut && all.every((other) => contains(view.box, other.box)));
  const box = whole?.box ?? all.map((view) => view.box).reduce(union);
  const shown = whole ?? best;
  const points = pointsOf(shown, picture);
  return {
    label: best.object.label,
    classIndex: best.object.classIndex,
    score: best.object.score,
    box: inFractions(box, picture),
    ...(shown.object.text !== undefined && { text: shown.object.text }),
    ...(points.length > 0 && { keypoints: points }),
  };
}

function contains(outer: Box, inner: Box): boolean {
  return surface(common(outer, inner)) >= CONTAINED_MIN * surface(inner);
}

function inFractions({ x0, y0, x1, y1 }: Box, { width, height }: Size): Box {
  return { x0: x0 / width, y0: y0 / height, x1: x1 / width, y1: y1 / height };
}

/** A total order of content: equal only for objects that are the same. */
function byScore(a: TileObject, b: TileObject): number {
  return (
    b.score - a.score ||
    a.classIndex - b.classIndex ||
    (a.box?.x0 ?? 0) - (b.box?.x0 ?? 0) ||
    (a.box?.y0 ?? 0) - (b.box?.y0 ?? 0) ||
    (a.box?.x1 ?? 0) - (b.box?.x1 ?? 0) ||
    (a.box?.y1 ?? 0) - (b.box?.y1 ?? 0)
  );
}
