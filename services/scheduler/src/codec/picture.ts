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
  if (!isJpeg(bytes) && !isPng(bytes) && !isWebp(bytes))
    throw refused('PICTURE_FORMAT', 'the picture is not a JPEG, PNG or WebP');
}

function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

function isPng(bytes: Uint8Array): boolean {
  return startsWith(bytes, 0, '\x89PNG\r\n\x1a\n');
}

function isWebp(bytes: Uint8Array): boolean {
  return startsWith(bytes, 0, 'RIFF') && startsWith(bytes, 8, 'WEBP');
}

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

function refused(reason: string, message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason });
}
