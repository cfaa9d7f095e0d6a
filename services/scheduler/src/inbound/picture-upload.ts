import type { PictureRef, SubmitJobRequest } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { hex } from '../owner/job-work.ts';
import { diskBytes, type Reservation } from '../spool/budget.ts';
import type { PictureFile } from '../spool/picture-file.ts';
import type { Spool } from '../spool/spool.ts';

const CHUNK_BYTES_MAX = 2 ** 20;

/**
 * The pictures of one submission on their way into the spool, one after the other.
 *
 * 1. Disk space for all that is missing is promised before the first byte is written.
 * 2. Only pictures that the header lists are taken; what is held already is read and dropped.
 */
export class PictureUpload {
  readonly #spool: Spool;
  readonly #sizes = new Map<string, number>();
  readonly #digests = new Map<string, Uint8Array>();
  readonly #reservation: Reservation;
  #file: PictureFile | undefined;
  /** The current picture is held already. */
  #skipping = false;

  /** @throws Failure RESOURCE_EXHAUSTED / DISK_BUDGET */
  constructor(spool: Spool, pictures: readonly PictureRef[]) {
    this.#spool = spool;
    let missingBytes = 0;
    for (const { digest, sizeBytes } of pictures) {
      const name = hex(digest);
      if (this.#sizes.has(name)) continue;
      this.#sizes.set(name, sizeBytes);
      this.#digests.set(name, digest);
      if (spool.sizeOf(name) === undefined) missingBytes += diskBytes(sizeBytes);
    }
    this.#reservation = spool.reserve(missingBytes);
  }

  /** Number of different pictures. */
  get different(): number {
    return this.#sizes.size;
  }

  held(): Uint8Array[] {
    return [...this.#digests].filter(([name]) => this.#spool.sizeOf(name) !== undefined).map(([, digest]) => digest);
  }

  /** @throws Failure INVALID_ARGUMENT for parts that do not belong here. Not retryable. */
  async take(part: SubmitJobRequest['part']): Promise<void> {
    if (part.case === 'picture') {
      await this.end();
      await this.#begin(hex(part.value.digest));
    } else if (part.case === 'chunk') await this.#write(part.value);
    else throw new Failure('INVALID_ARGUMENT', 'after the header come pictures and chunks', { reason: 'PART_INVALID' });
  }

  /** The current picture is complete. */
  async end(): Promise<void> {
    this.#skipping = false;
    if (this.#file === undefined) return;
    const file = this.#file;
    const known = this.#spool.sizeOf(file.digest) !== undefined;
    await this.#spool.store(file);
    this.#file = undefined;
    if (!known) this.#reservation.used(diskBytes(file.sizeBytes));
  }

  /** Drops an unfinished picture and gives back what was promised. */
  async close(): Promise<void> {
    this.#reservation.release();
    await this.#file?.abort();
    this.#file = undefined;
  }

  async #begin(name: string): Promise<void> {
    const sizeBytes = this.#sizes.get(name);
    if (sizeBytes === undefined)
      throw new Failure('INVALID_ARGUMENT', `picture ${name.slice(0, 12)}… is not in the header`, {
        reason: 'PICTURE_NOT_LISTED',
      });
    this.#skipping = this.#spool.sizeOf(name) !== undefined;
    if (!this.#skipping) this.#file = await this.#spool.receive(name, sizeBytes);
  }

  async #write(chunk: Uint8Array): Promise<void> {
    if (chunk.length > CHUNK_BYTES_MAX)
      throw new Failure('INVALID_ARGUMENT', `chunk: at most ${CHUNK_BYTES_MAX} bytes`, { reason: 'CHUNK_TOO_LARGE' });
    if (this.#skipping) return;
    if (this.#file === undefined)
      throw new Failure('INVALID_ARGUMENT', 'a chunk without a picture', { reason: 'PART_INVALID' });
    await this.#file.write(chunk);
  }
}
