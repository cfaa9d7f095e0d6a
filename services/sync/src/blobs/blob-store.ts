import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '@meridian/failure';
import type { Component } from '@meridian/runtime';

export interface BlobStoreOptions {
  /** Written to. */
  readonly directory: string;
  /** Looked at, too. */
  readonly readOnlyDirectories: readonly string[];
  /** Of all files in `directory`. More keeps more models, less leaves the disk to others. */
  readonly bytesMax: number;
}

/** One message of ReadBlob: a worker's window holds several. */
const CHUNK_BYTES = 256 * 1024;
const DIGEST = /^sha256:([0-9a-f]{64})$/;
/** Files that are not complete yet; never read, removed at the start. */
const INCOMING = '.incoming';

/**
 * Weights by digest.
 *
 * 1. A file has the name of its digest only when its bytes were verified and are on the disk.
 * 2. `bytesMax` holds for files and for what was promised to uploads under way together.
 * 3. Names come from digests that match {@link DIGEST}: no path from outside is ever used.
 */
export class BlobStore implements Component {
  readonly name = 'blobs';
  readonly #options: BlobStoreOptions;
  #bytes = 0;
  #incoming = 0;

  constructor(options: BlobStoreOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { directory } = this.#options;
    await rm(join(directory, INCOMING), { recursive: true, force: true });
    await mkdir(join(directory, INCOMING), { recursive: true });
    for (const file of await readdir(directory)) this.#bytes += (await sizeOf(join(directory, file))) ?? 0;
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  /** Size of the blob; undefined when it is not here. */
  async bytesOf(digest: string): Promise<number | undefined> {
    return (await this.#find(digest))?.bytes;
  }

  /** @throws Failure NOT_FOUND / BLOB_NOT_HERE (it may be in another region); INVALID_ARGUMENT / OFFSET_INVALID. */
  async *read(digest: string, offset: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const found = await this.#find(digest);
    if (found === undefined)
      throw new Failure('NOT_FOUND', `this region does not have ${digest}`, { reason: 'BLOB_NOT_HERE' });
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > found.bytes)
      throw new Failure('INVALID_ARGUMENT', `offset ${offset} of ${found.bytes} bytes`, { reason: 'OFFSET_INVALID' });
    const stream = createReadStream(found.path, { start: offset, highWaterMark: CHUNK_BYTES, signal });
    for await (const chunk of stream) yield chunk as Buffer;
  }

  /** Sets room aside. @returns a function that gives it back. @throws Failure RESOURCE_EXHAUSTED / BLOB_SPACE. */
  reserve(bytes: number): () => void {
    if (this.#bytes + bytes > this.#options.bytesMax)
      throw new Failure('RESOURCE_EXHAUSTED', `${bytes} bytes of weights do not fit on the disk of this region`, {
        reason: 'BLOB_SPACE',
        retryable: false,
      });
    this.#bytes += bytes;
    let isHeld = true;
    return () => {
      if (isHeld) this.#bytes -= bytes;
      isHeld = false;
    };
  }

  /** Opens a file for a blob of a known size. Room for it has been set aside. */
  async receive(digest: string, bytes: number): Promise<IncomingBlob> {
    const path = join(this.#options.directory, INCOMING, `${fileName(digest)}.${++this.#incoming}`);
    const target = join(this.#options.directory, fileName(digest));
    return new IncomingBlob(await open(path, 'wx', 0o600), { path, target, digest, bytes });
  }

  async #find(digest: string): Promise<{ readonly path: string; readonly bytes: number } | undefined> {
    const name = fileName(digest);
    for (const directory of [this.#options.directory, ...this.#options.readOnlyDirectories]) {
      const path = join(directory, name);
      const bytes = await sizeOf(path);
      if (bytes !== undefined) return { path, bytes };
    }
    return undefined;
  }
}

/** A blob on its way in. It ends in exactly one of `finish` and `discard`. */
export class IncomingBlob {
  readonly digest: string;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #target: string;
  readonly #bytesExpected: number;
  readonly #hash = createHash('sha256');
  #bytes = 0;

  constructor(
    file: FileHandle,
    blob: { readonly path: string; readonly target: string; readonly digest: string; readonly bytes: number },
  ) {
    this.#file = file;
    this.#path = blob.path;
    this.#target = blob.target;
    this.digest = blob.digest;
    this.#bytesExpected = blob.bytes;
  }

  /** @throws Failure INVALID_ARGUMENT / BLOB_SIZE when it gets larger than announced. */
  async append(chunk: Uint8Array): Promise<void> {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#bytesExpected) throw this.#wrongSize('more');
    this.#hash.update(chunk);
    await this.#file.appendFile(chunk);
  }

  /** Verifies and keeps it. @throws Failure INVALID_ARGUMENT / BLOB_SIZE or BLOB_DIGEST; then nothing is kept. */
  async finish(): Promise<void> {
    try {
      if (this.#bytes < this.#bytesExpected) throw this.#wrongSize('fewer');
      if (`sha256:${this.#hash.digest('hex')}` !== this.digest)
        throw new Failure('INVALID_ARGUMENT', `the bytes sent do not have digest ${this.digest}`, {
          reason: 'BLOB_DIGEST',
        });
      await this.#file.sync();
      await this.#file.close();
      await rename(this.#path, this.#target);
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  async discard(): Promise<void> {
    await this.#file.close().catch(() => undefined); // closed already
    await rm(this.#path, { force: true });
  }

  #wrongSize(how: 'more' | 'fewer'): Failure {
    const message = `${this.digest} has ${how} than the ${this.#bytesExpected} bytes that its manifest says`;
    return new Failure('INVALID_ARGUMENT', message, { reason: 'BLOB_SIZE' });
  }
}

/** @throws Failure INVALID_ARGUMENT / DIGEST_INVALID */
function fileName(digest: string): string {
  const name = DIGEST.exec(digest)?.[1];
  if (name !== undefined) return name;
  throw new Failure('INVALID_ARGUMENT', 'expected sha256: and 64 lower-case hexadecimal digits', {
    reason: 'DIGEST_INVALID',
  });
}

async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}
