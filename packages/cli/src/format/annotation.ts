import type { Recognition } from '@meridian/contracts/recognition';
import { formatPercent } from './quantity.ts';
import { labelOf } from './recognition.ts';

/** Told apart on light and dark pictures, by people with colour-blindness, too (Okabe and Ito). */
const COLOURS = ['#E69F00', '#56B4E9', '#009E73', '#F0E442', '#0072B2', '#D55E00', '#CC79A7'] as const;

/** An SVG of the recognition's size with boxes, key points and labels, to be laid over the upright picture. */
export function annotationSvg(recognition: Recognition): string {
  const { width, height, objects } = recognition;
  const unit = Math.max(width, height) / 100;
  const fontPx = Math.max(10, Math.round(unit * 2.4));
  const marks = objects.map((object, i) => {
    const colour = COLOURS[object.classIndex % COLOURS.length] ?? COLOURS[0];
    const text = `${labelOf(object)} ${formatPercent(object.score)}`;
    const box = object.box;
    const x = box === undefined ? unit : box.x0 * width;
    // A classifier's labels, which have no box, stand below each other.
    const y = box === undefined ? unit + i * fontPx * 1.5 : box.y0 * height;
    const frame =
      box === undefined
        ? ''
        : `<rect x="${px(x)}" y="${px(y)}" width="${px((box.x1 - box.x0) * width)}" height="${px((box.y1 - box.y0) * height)}" fill="none" stroke="${colour}" stroke-width="${px(Math.max(2, unit * 0.4))}"/>`;
    const points = object.keypoints.map(
      (point) =>
        `<circle cx="${px(point.x * width)}" cy="${px(point.y * height)}" r="${px(unit * 0.6)}" fill="${colour}"/>`,
    );
    return `${frame}${points.join('')}${label(text, colour, x, y, fontPx)}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${marks.join('')}</svg>`;
}

/** Inside the box's top edge, so that it never leaves the picture. */
function label(text: string, colour: string, x: number, y: number, fontPx: number): string {
  const width = text.length * fontPx * 0.6 + fontPx * 0.4;
  const back = `<rect x="${px(x)}" y="${px(y)}" width="${px(width)}" height="${px(fontPx * 1.3)}" fill="${colour}" fill-opacity="0.85"/>`;
  const front = `<text x="${px(x + fontPx * 0.2)}" y="${px(y + fontPx)}" font-family="monospace" font-size="${fontPx}" fill="#000">${escapeXml(text)}</text>`;
  return back + front;
}

function px(value: number): string {
  return value.toFixed(1);
}

/** Labels and recognised text come from models and pictures: they are not markup. Characters that XML forbids vanish. */
function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
