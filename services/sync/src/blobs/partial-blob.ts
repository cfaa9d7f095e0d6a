import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { assert, Failure } from '@meridian/failure';
import { keepAs } from './incoming-blob.ts';

export interface PartialBlobOptions {
  readonly path: string;
  readonly target: string;
  readonly digest: string;
  /** Of the whole blob. */
  readonly bytes: number;
  /** Called once: bytes that this blob takes on the disk from now on. */
  readonly onEnd: (left: number) => void;
}

/**
 * What was fetched of a blob so far.
 *
 * 1. Bytes are only ever appended; what is here is the blob's beginning, if its sources told the truth.
 * 2. It counts as the blob only once all of its bytes have its digest: those from before a restart are hashed again.
 * 3. `close` keeps what is here for another time. It ends once: by `finish`, `discard` or `close`.
 */
export class PartialBlob {
  readonly #options: PartialBlobOptions;
  readonly #file: FileHandle;
  readonly #hash: Hash;
  #offset: number;
  #isOpen = true;

  private constructor(options: PartialBlobOptions, file: FileHandle, hash: Hash, offset: number) {
    this.#options = options;
    this.#file = file;
    this.#hash = hash;
    this.#offset = offset;
  }

  static async open(options: PartialBlobOptions): Promise<PartialBlob> {
    const file = await open(options.path, 'a', 0o600);
    try {
      const { size } = await file.stat();
      assert(size <= options.bytes, 'it is the beginning of the blob');
      const hash = createHash('sha256');
      if (size > 0) await pipeline(createReadStream(options.path), hash, { end: false });
      return new PartialBlob(options, file, hash, size);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Bytes that are here. */
  get offset(): number {
    return this.#offset;
  }

  async append(chunk: Uint8Array): Promise<void> {
    assert(this.#offset + chunk.length <= this.#options.bytes, 'no more is asked for than the blob has');
    await this.#file.appendFile(chunk);
    this.#hash.update(chunk);
    this.#offset += chunk.length;
  }

  /** Verifies it; then it is the blob. @throws Failure DATA_LOSS / BLOB_DIGEST: then nothing of it is kept. */
  async finish(): Promise<void> {
    const { path, target, digest, bytes, onEnd } = this.#options;
    assert(this.#offset === bytes, 'all of it is here');
    if (`sha256:${this.#hash.digest('hex')}` !== digest) {
      await this.discard();
      throw new Failure('DATA_LOSS', `the bytes that came do not have digest ${digest}`, { reason: 'BLOB_DIGEST' });
    }
    await this.#file.sync();
    await this.#file.close();
    this.#isOpen = false;
    // An upload may have brought the same bytes meanwhile: they are counted already.
    onEnd((await keepAs(path, target)) ? bytes : 0);
  }

  async discard(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#file.close();
    await rm(this.#options.path, { force: true });
    this.#options.onEnd(0);
  }

  /** Keeps what is here; does nothing after `finish` and `discard`. */
  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    // An append that failed may have left a piece of its chunk.
    await this.#file.truncate(this.#offset).catch(() => undefined);
    await this.#file.close();
    this.#options.onEnd(this.#offset);
  }
}
