import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join, relative } from 'node:path';
import { Failure } from '@meridian/failure';
import { fileFailure } from './file-failure.ts';
import type { JobPicture } from './job-submission.ts';

/** The wire's bounds, refused here with a file name instead of there with an index. */
const PICTURES_MAX = 10_000;
export const PICTURE_BYTES_MAX = 16 * 2 ** 20;
const NAME_BYTES_MAX = 256;
const PICTURE_EXTENSIONS = new Set(['.jpg', '.jpeg', '.png', '.webp']);

export interface PictureFile {
  readonly path: string;
  /** Relative to the folder it was found in. */
  readonly name: string;
}

/**
 * Files as given, and the JPEG, PNG and WebP files in and below given folders, by name.
 * @throws Failure INVALID_ARGUMENT when there is none, or more than PICTURES_MAX; NOT_FOUND for a path that is not there.
 */
export async function listPictures(paths: readonly string[]): Promise<readonly PictureFile[]> {
  const found: PictureFile[] = [];
  for (const path of paths) {
    const entry = await stat(path).catch((cause) => {
      throw fileFailure('read', path, cause);
    });
    found.push(...(entry.isDirectory() ? await listFolder(path) : [{ path, name: basename(path) }]));
  }
  if (found.length === 0)
    throw new Failure('INVALID_ARGUMENT', `no .jpg, .jpeg, .png or .webp file in ${paths.join(', ')}`);
  if (found.length > PICTURES_MAX)
    throw new Failure('INVALID_ARGUMENT', `${found.length} pictures; a job has at most ${PICTURES_MAX}: split them`);
  return found;
}

async function listFolder(folder: string): Promise<PictureFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause) => {
    throw fileFailure('read', folder, cause);
  });
  const paths: string[] = [];
  for (const entry of entries) {
    if (!PICTURE_EXTENSIONS.has(extname(entry.name).toLowerCase())) continue;
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() || (entry.isSymbolicLink() && (await leadsToFile(path)))) paths.push(path);
  }
  return paths.sort().map((path) => ({ path, name: relative(folder, path) }));
}

function leadsToFile(link: string): Promise<boolean> {
  return stat(link).then(
    (entry) => entry.isFile(),
    () => false,
  );
}

/** @throws Failure naming the file when it cannot be read, is empty or too large. */
export async function readPicture(path: string): Promise<Buffer> {
  await checkedSize(path);
  return readFile(path).catch((cause) => {
    throw fileFailure('read', path, cause);
  });
}

/** Reads the file once for its digest, and again whenever it is sent. @throws like {@link readPicture}. */
export async function openPicture({ path, name }: PictureFile): Promise<JobPicture> {
  const sizeBytes = await checkedSize(path);
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, READ)) hash.update(chunk as Buffer);
  } catch (cause) {
    throw fileFailure('read', path, cause);
  }
  return { name: shorten(name), digest: hash.digest(), sizeBytes, read: () => createReadStream(path, READ) };
}

const READ = { highWaterMark: 256 * 1024 };

async function checkedSize(path: string): Promise<number> {
  const entry = await stat(path).catch((cause) => {
    throw fileFailure('read', path, cause);
  });
  if (entry.isDirectory())
    throw new Failure('INVALID_ARGUMENT', `${path} is a folder: \`jobs submit\` takes folders`, { reason: 'FILE' });
  const { size } = entry;
  if (size === 0) throw new Failure('INVALID_ARGUMENT', `${path} is empty`, { reason: 'PICTURE_EMPTY' });
  if (size <= PICTURE_BYTES_MAX) return size;
  throw new Failure('INVALID_ARGUMENT', `${path} has ${size} bytes, a picture at most ${PICTURE_BYTES_MAX}`, {
    reason: 'PICTURE_TOO_LARGE',
  });
}

/** The end of a long path says more than its beginning. */
function shorten(name: string): string {
  let short = name;
  while (Buffer.byteLength(short) > NAME_BYTES_MAX) short = `…${[...short].slice(2).join('')}`;
  return short;
}
