import { createHash } from 'node:crypto';
import { access, type FileHandle, rename, rm } from 'node:fs/promises';
import { Failure } from '@meridian/failure';

/** A blob on its way in from an upload. It ends in exactly one of `finish` and `discard`. */
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

  /**
   * Verifies and keeps it.
   * @returns false when the same bytes have come another way meanwhile, and are counted already
   * @throws Failure INVALID_ARGUMENT / BLOB_SIZE or BLOB_DIGEST; then nothing is kept.
   */
  async finish(): Promise<boolean> {
    try {
      if (this.#bytes < this.#bytesExpected) throw this.#wrongSize('fewer');
      if (`sha256:${this.#hash.digest('hex')}` !== this.digest)
        throw new Failure('INVALID_ARGUMENT', `the bytes sent do not have digest ${this.digest}`, {
          reason: 'BLOB_DIGEST',
        });
      await this.#file.sync();
      await this.#file.close();
      return await keepAs(this.#path, this.#target);
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

/**
 * Gives verified bytes the name of their digest.
 * @returns false when a file of that name is there: then it is the same, and this one goes
 */
export async function keepAs(path: string, target: string): Promise<boolean> {
  const isHere = await access(target).then(
    () => true,
    () => false,
  );
  if (isHere) await rm(path, { force: true });
  else await rename(path, target);
  return !isHere;
}
