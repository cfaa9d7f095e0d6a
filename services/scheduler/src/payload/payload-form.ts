/**
 * In which form a picture travels to a worker: as it came, or shrunk at its origin to what the model's input takes of it.
 * The shrunk form loses nothing that the model would have seen, so the answer is the same whichever is sent.
 */
export interface PayloadQuestion {
  readonly pictureBytes: number;
  /** Pixels of the model's input. */
  readonly input: { readonly width: number; readonly height: number };
  /** Of the link to the worker's region, one way. */
  readonly bandwidthMbps: number;
  /** Pictures that are to be shrunk or cut before this one. */
  readonly ahead: number;
}

/** Below it an ordinary photograph is not worth a second decoding (reference: 1.3 MB and more). */
export const SHRINKABLE_BYTES_MIN = 2 ** 20;
/** Of the raw pixels, that a PNG of a photograph takes. */
const PNG_SHARE = 0.75;
/** Much bigger: the original has so many times the bytes. */
const MUCH_BIGGER = 4;
/** What shrinking takes, ms, and for each MiB of the original. Both are high: a decoded PNG is dear, a JPEG is not. */
const SHRINK_MS = 50;
const SHRINK_MS_PER_MIB = 50;
/** The link is the bottleneck when what is saved on it is so many times what shrinking takes. */
const WORTH = 2;

/** Whether shrinking saves much more time on the link than it takes. */
export function isWorthShrinking({ pictureBytes, input, bandwidthMbps, ahead }: PayloadQuestion): boolean {
  const shrunkBytes = input.width * input.height * 3 * PNG_SHARE;
  if (pictureBytes < SHRINKABLE_BYTES_MIN || pictureBytes < MUCH_BIGGER * shrunkBytes) return false;
  const savedMs = ((pictureBytes - shrunkBytes) * 8) / (bandwidthMbps * 1000);
  const takesMs = SHRINK_MS + (SHRINK_MS_PER_MIB * pictureBytes) / 2 ** 20;
  return savedMs > WORTH * takesMs * (1 + ahead);
}
