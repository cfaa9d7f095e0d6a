import sharp from 'sharp';
import type { ScriptedWorker } from './scripted-worker.ts';

/** What a colour stands for, to a worker that finds colours. */
const COLOURS = { red: [255, 0, 0], green: [0, 255, 0], blue: [0, 0, 255] } as const;
export type Colour = keyof typeof COLOURS;
/** Pixels of the side of what the worker looks at, as a model's input. */
const INPUT = 64;
/** Pixels of that on each side: what is smaller is not seen. */
const SEEN_MIN = 5;

export interface Patch {
  readonly colour: Colour;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A black picture with patches of colour. */
export async function patches(width: number, height: number, all: readonly Patch[]): Promise<Buffer> {
  const tiles = all.map(({ colour, left, top, width: w, height: h }) => {
    const [r, g, b] = COLOURS[colour];
    return { left, top, input: { create: { width: w, height: h, channels: 3 as const, background: { r, g, b } } } };
  });
  const black = sharp({ create: { width, height, channels: 3, background: '#000' } });
  return black.composite(tiles).png().toBuffer();
}

/** Finds the colours in a picture: one object for each, if it is large enough. */
export async function coloursIn(picture: Uint8Array) {
  const shown = sharp(picture).removeAlpha().resize(INPUT, INPUT, { fit: 'inside' });
  const { data, info } = await shown.raw().toBuffer({ resolveWithObject: true });
  const found = (Object.keys(COLOURS) as Colour[]).map((label, classIndex) => {
    const [x0, y0, x1, y1] = boundsOf(data, info, COLOURS[label]);
    const box = { x0: x0 / info.width, y0: y0 / info.height, x1: x1 / info.width, y1: y1 / info.height };
    return { label, classIndex, score: 0.9 - classIndex / 10, box, isSeen: Math.min(x1 - x0, y1 - y0) >= SEEN_MIN };
  });
  return found.filter(({ isSeen }) => isSeen).map(({ isSeen: _, ...object }) => object);
}

/** Makes the scripted worker look at its pictures. @param before is waited for before each answer */
export function findColours(worker: ScriptedWorker, before: (key: string) => Promise<unknown> = async () => {}): void {
  worker.answer = (self, key) => {
    const picture = self.picture(key);
    if (picture === undefined) return;
    void before(key)
      .then(() => coloursIn(picture))
      .then((objects) => {
        self.objects = objects;
        self.succeed(key);
      });
  };
}

function boundsOf(
  data: Buffer,
  { width, height }: { readonly width: number; readonly height: number },
  colour: readonly number[],
): [number, number, number, number] {
  const bounds: [number, number, number, number] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      // A pixel that is half of the colour counts: scaling blurs borders.
      if (colour.some((value, i) => Math.abs((data[at + i] ?? 0) - value) > 127)) continue;
      bounds[0] = Math.min(bounds[0], x);
      bounds[1] = Math.min(bounds[1], y);
      bounds[2] = Math.max(bounds[2], x + 1);
      bounds[3] = Math.max(bounds[3], y + 1);
    }
  }
  return bounds;
}
