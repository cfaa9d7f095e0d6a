import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Something that must not be somewhere, in one form in which it could be. */
export interface Needle {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Texts as they are and in base64, at any place of a text. */
export function ofText(text: string): Needle[] {
  const bytes = Buffer.from(text);
  // Three alignments; what depends on the bytes around it is left off at both ends.
  const aligned = [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    return Buffer.from(encoded.slice(shift === 0 ? 0 : 4, -4));
  });
  return [{ name: text, bytes }, ...aligned.map((form, i) => ({ name: `${text} in base64, ${i}`, bytes: form }))];
}

/** A picture's digest as bytes, hexadecimal and base64 of both alphabets; and a piece from its middle. */
export function ofPicture(name: string, picture: Uint8Array): Needle[] {
  const digest = createHash('sha256').update(picture).digest();
  const middle = Math.floor(picture.length / 2);
  return [
    { name: `digest of ${name}`, bytes: digest },
    ...(['hex', 'base64', 'base64url'] as const).map((form) => ({
      name: `digest of ${name} in ${form}`,
      bytes: Buffer.from(digest.toString(form).replace(/=+$/, '')),
    })),
    { name: `middle of ${name}`, bytes: Buffer.from(picture.subarray(middle, middle + 48)) },
  ];
}

/** Names of those that are there. */
export function found(needles: readonly Needle[], hay: Buffer): string[] {
  return needles.filter(({ bytes }) => hay.includes(bytes)).map(({ name }) => name);
}

/** Names of needles with the file, for all files below the folder. What cannot be read is not there any more. */
export async function foundBelow(
  needles: readonly Needle[],
  folder: string,
): Promise<{ files: number; hits: string[] }> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const hits: string[] = [];
  for (const file of files) {
    const names = found(needles, await readFile(file).catch(() => Buffer.alloc(0)));
    hits.push(...[...names, ...found(needles, Buffer.from(file))].map((name) => `${name} in ${file}`));
  }
  return { files: files.length, hits };
}

const PREFACE = Buffer.from('PRI * HTTP/2.0');
const PREFACE_BYTES = 24;
const FRAME_HEADER_BYTES = 9;
const DATA = 0;

/** The bodies of an HTTP/2 connection's streams, each in one piece: frames cut them anywhere. */
export function bodiesOf(spoken: Buffer): Buffer[] {
  const bodies = new Map<number, Buffer[]>();
  let at = spoken.subarray(0, PREFACE.length).equals(PREFACE) ? PREFACE_BYTES : 0;
  while (at + FRAME_HEADER_BYTES <= spoken.length) {
    const bytes = spoken.readUIntBE(at, 3);
    const [type, flags] = [spoken.readUInt8(at + 3), spoken.readUInt8(at + 4)];
    const stream = spoken.readUInt32BE(at + 5) & 0x7fffffff;
    const payload = spoken.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + bytes);
    at += FRAME_HEADER_BYTES + bytes;
    if (type !== DATA) continue;
    const padding = (flags & 8) === 0 ? 0 : 1 + payload.readUInt8(0);
    const body = (flags & 8) === 0 ? payload : payload.subarray(1, payload.length - padding + 1);
    bodies.set(stream, [...(bodies.get(stream) ?? []), body]);
  }
  return [...bodies.values()].map((parts) => Buffer.concat(parts));
}
