import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Identity } from './identity.ts';

/** Secrets: the owner's eyes only. */
const SECRET = 0o600;
const PUBLIC = 0o644;
const SECRET_DIRECTORY = 0o700;

/** @returns undefined when there is no such file. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole or not at all: a reader, or a crash, never sees half a key. */
async function write(path: string, content: string | Buffer, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: SECRET_DIRECTORY });
  const partial = `${path}.partial-${process.pid}`;
  await writeFile(partial, content, { mode });
  await chmod(partial, mode); // the umask, or a partial file left by a crash, may have said otherwise
  await rename(partial, path);
}

export function writeSecret(path: string, content: string | Buffer): Promise<void> {
  return write(path, content, SECRET);
}

export function writePublic(path: string, content: string | Buffer): Promise<void> {
  return write(path, content, PUBLIC);
}

/** The key goes first: a certificate is never there without it. */
export async function writeIdentity(directory: string, identity: Identity): Promise<void> {
  await writeSecret(join(directory, 'key.pem'), identity.key);
  await writePublic(join(directory, 'ca.pem'), identity.ca);
  await writePublic(join(directory, 'cert.pem'), identity.cert);
}
