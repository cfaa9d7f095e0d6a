import type { Box, RecognizedObject } from '../recognition.ts';

/** Rows from top to bottom, each from left to right. Two lines share a row when their centres are closer than half a line. */
export function inReadingOrder(lines: readonly RecognizedObject[]): RecognizedObject[] {
  const sorted = [...lines].sort((a, b) => middle(a.box) - middle(b.box));
  const rows: RecognizedObject[][] = [];
  for (const line of sorted) {
    const row = rows.at(-1);
    const first = row?.[0];
    const isSameRow =
      first !== undefined &&
      middle(line.box) - middle(first.box) < Math.min(heightOf(first.box), heightOf(line.box)) / 2;
    if (row !== undefined && isSameRow) row.push(line);
    else rows.push([line]);
  }
  return rows.flatMap((row) => row.sort((a, b) => (a.box?.x0 ?? 0) - (b.box?.x0 ?? 0)));
}

function middle(box: Box | undefined): number {
  return box === undefined ? 0 : (box.y0 + box.y1) / 2;
}

function heightOf(box: Box | undefined): number {
  return box === undefined ? 0 : box.y1 - box.y0;
}
