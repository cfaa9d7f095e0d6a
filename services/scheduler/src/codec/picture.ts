import { detectFormat, formatRefusal, isAccepted } from '@meridian/contracts/picture-format';
import { Failure } from '@meridian/failure';

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

function refused(reason: string, message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason });
}
