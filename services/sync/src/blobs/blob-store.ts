import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '@meridian/failure';
import type { Component } from '@meridian/runtime';
import { IncomingBlob } from './incoming-blob.ts';
import { PartialBlob } from './partial-blob.ts';

export interface BlobStoreOptions {
  /** Written to. */
  readonly directory: string;
  /** Looked at, too. */
  readonly readOnlyDirectories: readonly string[];
  /** Of all files in `directory`. More keeps more models, less leaves the disk to others. */
  readonly bytesMax: number;
}

export interface BlobChunk {
  readonly chunk: Uint8Array;
  /** Of the whole blob. */
  readonly totalBytes: number;
}

/** One message of ReadBlob: a worker's window holds several. */
const CHUNK_BYTES = 256 * 1024;
const DIGEST = /^sha256:([0-9a-f]{64})$/;
/** Files that are not complete yet; never read, removed at the start. */
const INCOMING = '.incoming';
/** What was fetched of blobs that are not complete yet; survives a restart. */
const PARTIAL = '.partial';

/**
 * Weights by digest.
 *
 * 1. A file has the name of its digest only when its bytes were verified and are on the disk.
 * 2. `bytesMax` holds for files, those that are not complete included, and for what was promised to uploads and fetches
 *    under way together.
 * 3. Names come from digests that match {@link DIGEST}: no path from outside is ever used.
 */
export class BlobStore implements Component {
  readonly name = 'blobs';
  readonly #options: BlobStoreOptions;
  readonly #offered = new Set<string>();
  #bytes = 0;
  #incoming = 0;

  constructor(options: BlobStoreOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { directory } = this.#options;
    await rm(join(directory, INCOMING), { recursive: true, force: true });
    await mkdir(join(directory, INCOMING), { recursive: true });
    await mkdir(join(directory, PARTIAL), { recursive: true });
    for (const folder of [directory, join(directory, PARTIAL)])
      for (const file of await readdir(folder)) this.#bytes += (await sizeOf(join(folder, file))) ?? 0;
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
    const found = await this.#require(digest, offset);
    const stream = createReadStream(found.path, { start: offset, highWaterMark: CHUNK_BYTES, signal });
    for await (const chunk of stream) yield chunk as Buffer;
  }

  /**
   * `bytes` from `offset` on, fewer only where the blob ends.
   * @throws Failure as {@link read}
   */
  async readChunk(digest: string, offset: number, bytes: number): Promise<BlobChunk> {
    const found = await this.#require(digest, offset);
    const chunk = Buffer.alloc(Math.min(bytes, found.bytes - offset));
    const file = await open(found.path);
    try {
      let filled = 0;
      while (filled < chunk.length) {
        const { bytesRead } = await file.read(chunk, filled, chunk.length - filled, offset + filled);
        if (bytesRead === 0)
          throw new Failure('DATA_LOSS', `${digest} has become shorter`, { reason: 'BLOB_DAMAGED', retryable: false });
        filled += bytesRead;
      }
    } finally {
      await file.close();
    }
    return { chunk, totalBytes: found.bytes };
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

  /**
   * Opens what is here of a blob that is fetched, to go on with it. Sets room aside for the rest; what is not used is
   * given back when it is closed. One at a time for a digest.
   * @throws Failure RESOURCE_EXHAUSTED / BLOB_SPACE
   */
  async resume(digest: string, bytes: number): Promise<PartialBlob> {
    const name = fileName(digest);
    const path = join(this.#options.directory, PARTIAL, name);
    // More than the blob has cannot be its beginning.
    if (((await sizeOf(path)) ?? 0) > bytes) await this.dropPartial(digest);
    const before = (await sizeOf(path)) ?? 0;
    const giveBack = this.reserve(bytes - before);
    const target = join(this.#options.directory, name);
    const onEnd = (left: number) => {
      giveBack();
      this.#bytes += left - before;
    };
    try {
      return await PartialBlob.open({ path, target, digest, bytes, onEnd });
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  /** What is complete here, installed catalogues aside. */
  async digests(): Promise<readonly string[]> {
    const names = await readdir(this.#options.directory);
    return names.map((name) => `sha256:${name}`).filter((digest) => DIGEST.test(digest));
  }

  /** An upload relies on it: a model will name it. */
  offer(digest: string): void {
    this.#offered.add(digest);
  }

  /** What was offered since this was called last. */
  takeOffered(): ReadonlySet<string> {
    const offered = new Set(this.#offered);
    this.#offered.clear();
    return offered;
  }

  async remove(digest: string): Promise<void> {
    await this.#delete(join(this.#options.directory, fileName(digest)));
  }

  /** Digests of which a part was fetched. */
  async partials(): Promise<readonly string[]> {
    const names = await readdir(join(this.#options.directory, PARTIAL));
    return names.map((name) => `sha256:${name}`).filter((digest) => DIGEST.test(digest));
  }

  /** Of a blob that nobody wants any more. */
  async dropPartial(digest: string): Promise<void> {
    await this.#delete(join(this.#options.directory, PARTIAL, fileName(digest)));
  }

  async #delete(path: string): Promise<void> {
    const bytes = (await sizeOf(path)) ?? 0;
    await rm(path, { force: true });
    this.#bytes -= bytes;
  }

  async #require(digest: string, offset: number): Promise<{ readonly path: string; readonly bytes: number }> {
    const found = await this.#find(digest);
    if (found === undefined)
      throw new Failure('NOT_FOUND', `this region does not have ${digest}`, { reason: 'BLOB_NOT_HERE' });
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > found.bytes)
      throw new Failure('INVALID_ARGUMENT', `offset ${offset} of ${found.bytes} bytes`, { reason: 'OFFSET_INVALID' });
    return found;
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
