import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Area, type Box, common, overlapRatio, type Size, surface, wholeOf } from './area.ts';
import { mergePieces } from './merge.ts';
import { tilesOf } from './tiles.ts';
import type { Piece, TileObject } from './view.ts';

const input: Size = { width: 100, height: 100 };

interface Thing {
  readonly label: number;
  readonly score: number;
  /** Pixels of the picture. */
  readonly box: Box;
}

/** What a model without faults sees of a thing in an area. */
function seen({ label, score, box }: Thing, area: Area): TileObject | undefined {
  const shown = common(box, { x0: area.left, y0: area.top, x1: area.left + area.width, y1: area.top + area.height });
  if (surface(shown) === 0) return undefined;
  return {
    ...{ label: `label ${label}`, classIndex: label, score },
    box: {
      x0: (shown.x0 - area.left) / area.width,
      y0: (shown.y0 - area.top) / area.height,
      x1: (shown.x1 - area.left) / area.width,
      y1: (shown.y1 - area.top) / area.height,
    },
  };
}

function piecesOf(things: readonly Thing[], areas: readonly Area[]): Piece[] {
  return areas.map((area) => ({ area, objects: things.flatMap((thing) => seen(thing, area) ?? []) }));
}

const pixels = ({ box }: TileObject, { width, height }: Size): Box => ({
  x0: (box?.x0 ?? 0) * width,
  y0: (box?.y0 ?? 0) * height,
  x1: (box?.x1 ?? 0) * width,
  y1: (box?.y1 ?? 0) * height,
});

const picture = fc.record({ width: fc.integer({ min: 150, max: 700 }), height: fc.integer({ min: 150, max: 700 }) });

/** Things that lie apart, with different scores, in a picture of the size. */
function thingsIn({ width, height }: Size): fc.Arbitrary<Thing[]> {
  const thing = fc
    .record({
      label: fc.integer({ min: 0, max: 1 }),
      x: fc.integer({ min: 0, max: width - 12 }),
      y: fc.integer({ min: 0, max: height - 12 }),
      w: fc.integer({ min: 12, max: width }),
      h: fc.integer({ min: 12, max: height }),
      score: fc.double({ min: 0.3, max: 1, noNaN: true }),
    })
    .map(({ label, x, y, w, h, score }) => ({
      ...{ label, score },
      box: { x0: x, y0: y, x1: Math.min(width, x + w), y1: Math.min(height, y + h) },
    }));
  return fc.array(thing, { minLength: 1, maxLength: 8 }).map((things) => {
    const apart: Thing[] = [];
    const grown = ({ x0, y0, x1, y1 }: Box) => ({ x0: x0 - 8, y0: y0 - 8, x1: x1 + 8, y1: y1 + 8 });
    for (const one of things)
      if (apart.every((other) => surface(common(grown(one.box), grown(other.box))) === 0)) apart.push(one);
    return apart;
  });
}

const scene = picture.chain((size) =>
  fc.record({ size: fc.constant(size), things: thingsIn(size), tilesMax: fc.integer({ min: 2, max: 30 }) }),
);

/** The whole picture where it is not cut. */
function tilesFor(size: Size, tilesMax: number, overlapShare = 0.2): readonly Area[] {
  const tiles = tilesOf({ picture: size, input, tilesMax, overlapShare });
  return tiles.length > 0 ? tiles : [wholeOf(size)];
}

/** No edge of the thing is closer to a border of the tile than what models are exact to, but for the border itself. */
function isClear({ x0, y0, x1, y1 }: Box, { left, top, width, height }: Area): boolean {
  const far = (edge: number, border: number, side: number) => Math.abs(edge - border) > 0.05 * side;
  const across = [x0, x1].every((x) => [left, left + width].every((border) => x === 0 || far(x, border, width)));
  return across && [y0, y1].every((y) => [top, top + height].every((border) => y === 0 || far(y, border, height)));
}

function expectThings(found: readonly TileObject[], things: readonly Thing[], size: Size): void {
  expect(found).toHaveLength(things.length);
  for (const thing of things) {
    const same = found.filter((object) => overlapRatio(pixels(object, size), thing.box) > 0.999);
    expect(same.map(({ classIndex, score }) => ({ classIndex, score }))).toEqual([
      { classIndex: thing.label, score: thing.score },
    ]);
  }
}

describe('things seen in tiles', () => {
  test('come out once each, whole, however many tiles cut them', () => {
    fc.assert(
      fc.property(scene, ({ size, things, tilesMax }) => {
        expectThings(mergePieces(piecesOf(things, tilesFor(size, tilesMax)), size), things, size);
      }),
      { numRuns: 1500 },
    );
  });

  test('also with the whole picture beside the tiles, which alone sees large things uncut', () => {
    fc.assert(
      fc.property(scene, ({ size, things, tilesMax }) => {
        const areas = [...tilesFor(size, tilesMax), wholeOf(size)];
        expectThings(mergePieces(piecesOf(things, areas), size), things, size);
      }),
      { numRuns: 1500 },
    );
  });

  test('also where tiles share nothing and only touch, if there is but one thing and no tile sees a sliver of it', () => {
    fc.assert(
      fc.property(scene, ({ size, things, tilesMax }) => {
        const tiles = tilesFor(size, tilesMax, 0);
        const one = things.slice(0, 1);
        fc.pre(one.every(({ box }) => tiles.every((tile) => isClear(box, tile))));
        expectThings(mergePieces(piecesOf(one, tiles), size), one, size);
      }),
      { numRuns: 1000 },
    );
  });

  test('the order of pieces and objects changes nothing, nor does a piece that is given twice', () => {
    fc.assert(
      fc.property(scene, fc.infiniteStream(fc.nat()), ({ size, things, tilesMax }, random) => {
        const pieces = piecesOf(things, [...tilesFor(size, tilesMax), wholeOf(size)]);
        const expected = mergePieces(pieces, size);
        const shuffled = <T>(list: readonly T[]): T[] =>
          list
            .map((value) => ({ value, key: random.next().value as number }))
            .sort((a, b) => a.key - b.key)
            .map(({ value }) => value);
        const other = shuffled([...pieces, ...pieces]).map(({ area, objects }) => ({
          area,
          objects: shuffled(objects),
        }));
        expect(mergePieces(other, size)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  test('merging what is merged changes nothing', () => {
    fc.assert(
      fc.property(scene, ({ size, things, tilesMax }) => {
        const once = mergePieces(piecesOf(things, tilesFor(size, tilesMax)), size);
        const again = mergePieces([{ area: wholeOf(size), objects: once }], size);
        expect(again).toHaveLength(once.length);
        for (const [i, object] of again.entries())
          expect(overlapRatio(pixels(object, size), pixels(once[i] as TileObject, size))).toBeGreaterThan(0.999999);
      }),
      { numRuns: 500 },
    );
  });
});

describe('models have faults', () => {
  test('boxes that are off by a few hundredths are joined all the same, with the best score', () => {
    const size = { width: 500, height: 400 };
    const faulty = fc.infiniteStream(fc.double({ min: -0.03, max: 0.03, noNaN: true }));
    const large = fc.record({ x: fc.integer({ min: 0, max: 300 }), y: fc.integer({ min: 0, max: 250 }) });
    fc.assert(
      fc.property(large, faulty, ({ x, y }, errors) => {
        const thing = { label: 0, score: 0.9, box: { x0: x, y0: y, x1: x + 150, y1: y + 120 } };
        const off = (value: number, extent: number) =>
          Math.min(1, Math.max(0, value + (errors.next().value as number) * extent));
        const pieces = piecesOf([thing], [...tilesFor(size, 30), wholeOf(size)]).map(({ area, objects }) => ({
          area,
          objects: objects
            // A sliver is not recognised.
            .filter(({ box }) => box !== undefined && Math.min(box.x1 - box.x0, box.y1 - box.y0) > 0.2)
            .map((object) => {
              const { x0, y0, x1, y1 } = object.box as Box;
              const [w, h] = [x1 - x0, y1 - y0];
              return { ...object, box: { x0: off(x0, w), y0: off(y0, h), x1: off(x1, w), y1: off(y1, h) } };
            }),
        }));
        const found = mergePieces(pieces, size);
        expect(found).toHaveLength(1);
        expect(overlapRatio(pixels(found[0] as TileObject, size), thing.box)).toBeGreaterThan(0.8);
      }),
      { numRuns: 500 },
    );
  });

  test('two things that one piece tells apart stay two, although both agree with one of another piece', () => {
    const size = { width: 180, height: 100 };
    const [left, right] = tilesFor(size, 2) as [Area, Area];
    const at = (x0: number, y0: number, score: number): TileObject => ({
      ...{ label: 'bird', classIndex: 0, score },
      box: { x0, y0, x1: x0 + 0.1, y1: y0 + 0.4 },
    });
    const twins = [at(0.85, 0.2, 0.8), at(0.87, 0.22, 0.7)];
    const found = mergePieces(
      [
        { area: left, objects: twins },
        { area: right, objects: [at(0.05, 0.2, 0.9)] },
      ],
      size,
    );
    expect(found).toHaveLength(2);
  });

  test('other labels are not joined', () => {
    const size = { width: 180, height: 100 };
    const areas = tilesFor(size, 2);
    const box = { x0: 60, y0: 20, x1: 130, y1: 80 };
    const pieces = areas.map((area, i) => piecesOf([{ label: i, score: 0.9, box }], [area])[0] as Piece);
    expect(mergePieces(pieces, size)).toHaveLength(2);
  });
});

describe('what one tile shows whole', () => {
  test('comes out with the box and the points that it has there', () => {
    const size = { width: 400, height: 300 };
    const tiles = tilesFor(size, 30);
    const area = tiles[0] as Area;
    const face: TileObject = {
      ...{ label: 'face', classIndex: 0, score: 0.75 },
      box: { x0: 0.125, y0: 0.25, x1: 0.5, y1: 0.5 },
      keypoints: [{ x: 0.25, y: 0.375 }],
    };
    const pieces = tiles.map((tile) => ({ area: tile, objects: tile === area ? [face] : [] }));
    const { width, height } = area;
    expect(mergePieces(pieces, size)).toEqual([
      {
        ...face,
        box: {
          x0: (0.125 * width) / 400,
          y0: (0.25 * height) / 300,
          x1: (0.5 * width) / 400,
          y1: (0.5 * height) / 300,
        },
        keypoints: [{ x: (0.25 * width) / 400, y: (0.375 * height) / 300 }],
      },
    ]);
  });
});
