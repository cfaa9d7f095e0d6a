/** What the first bytes of a file say it is. Only the first three are ever handed to a decoder. */
export type PictureFormat = 'JPEG' | 'PNG' | 'WebP';
const ACCEPTED_FORMATS: readonly PictureFormat[] = ['JPEG', 'PNG', 'WebP'];

const SIGNATURES: readonly { readonly name: string; readonly offset: number; readonly bytes: string }[] = [
  { name: 'JPEG', offset: 0, bytes: '\xff\xd8\xff' },
  { name: 'PNG', offset: 0, bytes: '\x89PNG\r\n\x1a\n' },
  { name: 'WebP', offset: 8, bytes: 'WEBP' },
  { name: 'GIF', offset: 0, bytes: 'GIF8' },
  { name: 'TIFF', offset: 0, bytes: 'II*\0' },
  { name: 'TIFF', offset: 0, bytes: 'MM\0*' },
  { name: 'BMP', offset: 0, bytes: 'BM' },
  { name: 'PDF', offset: 0, bytes: '%PDF-' },
  { name: 'Photoshop', offset: 0, bytes: '8BPS' },
  { name: 'JPEG XL', offset: 0, bytes: '\xff\x0a' },
  { name: 'JPEG XL', offset: 4, bytes: 'JXL ' },
  { name: 'JPEG 2000', offset: 4, bytes: 'jP  ' },
  { name: 'AVIF', offset: 4, bytes: 'ftypavi' },
  { name: 'HEIC', offset: 4, bytes: 'ftyphe' },
  { name: 'HEIC', offset: 4, bytes: 'ftypmif1' },
];

/** How far an SVG's opening tag may be from the start. */
const TEXT_PROBE_BYTES = 512;

export function isAccepted(format: string | undefined): format is PictureFormat {
  return ACCEPTED_FORMATS.some((accepted) => accepted === format);
}

/** What to tell the sender of a format that is not taken. */
export function formatRefusal(format: string | undefined): string {
  const found = format === undefined ? 'the bytes are of no known picture format' : `the picture is ${format}`;
  return `${found}; ${ACCEPTED_FORMATS.join(', ')} are accepted: convert it first`;
}

/** The format's name, undefined when the bytes are of no known picture format. */
export function detectFormat(picture: Uint8Array): string | undefined {
  const start = Buffer.from(picture.buffer, picture.byteOffset, Math.min(picture.byteLength, TEXT_PROBE_BYTES));
  const head = start.toString('latin1');
  const match = SIGNATURES.find(({ offset, bytes }) => head.startsWith(bytes, offset));
  if (match !== undefined) return match.name === 'WebP' && !head.startsWith('RIFF') ? undefined : match.name;
  return /^\s*</.test(head) && /<svg[\s>]/i.test(head) ? 'SVG' : undefined;
}
