import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { Failure } from '@meridian/failure';
import { picturePixels } from '../codec/picture.ts';

/**
 * A picture on its way to the disk: written under a temporary name, verified, synced, renamed. One writer at a time.
 */
export class PictureFile {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #hash: Hash = createHash('sha256');
  #written = 0;
  /** By its header, if the first chunk has it; see `picturePixels`. */
  pixels = 0;

  private constructor(path: string, handle: FileHandle, expected: { digest: string; sizeBytes: number }) {
    this.#path = path;
    this.#handle = handle;
    this.digest = expected.digest;
    this.sizeBytes = expected.sizeBytes;
  }

  static async create(path: string, expected: { digest: string; sizeBytes: number }): Promise<PictureFile> {
    return new PictureFile(path, await open(path, 'wx'), expected);
  }

  /** @throws Failure INVALID_ARGUMENT / PICTURE_SIZE when there is more than was announced. Not retryable. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#written === 0) this.pixels = picturePixels(chunk, this.sizeBytes);
    this.#written += chunk.length;
    if (this.#written > this.sizeBytes) throw wrongSize(this);
    this.#hash.update(chunk);
    for (let at = 0; at < chunk.length; ) at += (await this.#handle.write(chunk, at)).bytesWritten;
  }

  /** @throws Failure INVALID_ARGUMENT / PICTURE_SIZE or PICTURE_DIGEST. Not retryable. */
  async complete(path: string): Promise<void> {
    if (this.#written !== this.sizeBytes) throw wrongSize(this);
    if (this.#hash.digest('hex') !== this.digest)
      throw new Failure('INVALID_ARGUMENT', `picture ${this.digest.slice(0, 12)}…: the bytes have another digest`, {
        reason: 'PICTURE_DIGEST',
      });
    await this.#handle.datasync();
    await this.#handle.close();
    await rename(this.#path, path);
  }

  async abort(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#path, { force: true });
  }
}

function wrongSize(file: PictureFile): Failure {
  const message = `picture ${file.digest.slice(0, 12)}…: the header announced ${file.sizeBytes} bytes`;
  return new Failure('INVALID_ARGUMENT', message, { reason: 'PICTURE_SIZE' });
}
