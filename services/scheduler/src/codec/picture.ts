import { detectFormat, formatRefusal, isAccepted } from '@meridian/contracts/picture-format';
import { Failure } from '@meridian/failure';
import { DOWNSCALED_BYTES_MIN } from '@meridian/placement';
import { headerSize } from './picture-header.ts';

export const PICTURE_BYTES_MAX = 16 * 2 ** 20;

/**
 * What can be said of a picture without decoding it.
 * @throws Failure INVALID_ARGUMENT / PICTURE_EMPTY, PICTURE_TOO_LARGE or PICTURE_FORMAT. Not retryable.
 */
export function checkPicture(bytes: Uint8Array): void {
  if (bytes.length === 0) throw refused('PICTURE_EMPTY', 'the picture is empty');
  if (bytes.length > PICTURE_BYTES_MAX)
    throw refused('PICTURE_TOO_LARGE', `the picture has ${bytes.length} bytes, at most ${PICTURE_BYTES_MAX} are taken`);
  const format = detectFormat(bytes);
  if (!isAccepted(format)) throw refused('PICTURE_FORMAT', formatRefusal(format));
}

/**
 * Pixels of a picture that may be worth scaling before it is sent; 0 for ordinary ones, which are not looked at, and for those
 * whose header is not understood.
 * @param start of the picture, with its header
 */
export function picturePixels(start: Uint8Array, sizeBytes = start.length): number {
  if (sizeBytes < DOWNSCALED_BYTES_MIN) return 0;
  const { width, height } = headerSize(start) ?? { width: 0, height: 0 };
  return width * height;
}

function refused(reason: string, message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason });
}
