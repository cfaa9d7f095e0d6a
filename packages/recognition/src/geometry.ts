import type { InputSpec } from '@meridian/models';
import type { Box, Point } from './recognition.ts';

/** Where the whole picture lies in the input tensor, in input pixels; partly outside of it when it was cropped. */
export interface Placement {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What of a model's input decides how a picture is fitted into it. */
export interface InputFrame extends Size, Pick<InputSpec, 'fit'> {
  readonly shorterSide?: number | undefined;
}

/** The size to which a picture is resized and where it is put, for each way to fit. Whole pixels. */
export function placementOf(picture: Size, input: InputFrame): Placement {
  if (input.fit === 'stretch') return { left: 0, top: 0, width: input.width, height: input.height };
  if (input.fit === 'letterbox') {
    const scale = Math.min(input.width / picture.width, input.height / picture.height);
    const [width, height] = scaled(picture, scale);
    return { left: 0, top: 0, width: Math.min(width, input.width), height: Math.min(height, input.height) };
  }
  const shorterSide = input.shorterSide ?? Math.max(input.width, input.height);
  const [width, height] = scaled(picture, shorterSide / Math.min(picture.width, picture.height));
  return { left: -Math.floor((width - input.width) / 2), top: -Math.floor((height - input.height) / 2), width, height };
}

/** Input pixels to fractions of the picture, kept within it. Undefined when nothing of the box is inside. */
export function boxWithin(placement: Placement, x0: number, y0: number, x1: number, y1: number): Box | undefined {
  const from = pointWithin(placement, x0, y0);
  const to = pointWithin(placement, x1, y1);
  const box = { x0: clamp(from.x), y0: clamp(from.y), x1: clamp(to.x), y1: clamp(to.y) };
  return box.x1 > box.x0 && box.y1 > box.y0 ? box : undefined;
}

export function pointWithin(placement: Placement, x: number, y: number): Point {
  return { x: (x - placement.left) / placement.width, y: (y - placement.top) / placement.height };
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}

function scaled(size: Size, scale: number): [number, number] {
  return [Math.max(1, Math.round(size.width * scale)), Math.max(1, Math.round(size.height * scale))];
}
