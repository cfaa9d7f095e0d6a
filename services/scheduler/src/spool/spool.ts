import { mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '@meridian/failure';
import type { Clock, Logger } from '@meridian/runtime';
import { DiskBudget, diskBytes, type Reservation } from './budget.ts';
import { PictureFile } from './picture-file.ts';

export interface SpoolOptions {
  readonly directory: string;
  readonly budgetBytes: number;
  /** How long pictures of a job that was never accepted are kept for the client to go on. */
  readonly orphanKeepMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Entry {
  readonly bytes: number;
  /** As its writer saw it; 0: not known. */
  readonly pixels: number;
  /** Jobs that need it. */
  references: number;
  /** Since when none does. */
  unusedSinceMs: number;
}

const DIGEST = /^[0-9a-f]{64}$/;
/** Removals of one sweep: the rest waits for the next. */
const SWEEP_MAX = 1000;

/**
 * Pictures of jobs on the origin's disk, by digest.
 *
 * 1. A picture is in `#entries` only when its whole, verified content is at its final name and on the disk (fsync).
 * 2. After `settle` the names are on the disk, too: a job may be accepted.
 * 3. A picture that a job refers to is never removed; others are after `orphanKeepMs`.
 * 4. What is stored and promised never exceeds the budget.
 */
export class Spool {
  readonly #options: SpoolOptions;
  readonly #budget: DiskBudget;
  readonly #entries = new Map<string, Entry>();
  /** Folders with names that may not be on the disk yet. */
  readonly #unsettled = new Set<string>();
  #incoming = 0;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#budget = new DiskBudget(options.budgetBytes);
  }

  get storedBytes(): number {
    return this.#budget.storedBytes;
  }

  get pictures(): number {
    return this.#entries.size;
  }

  /** Finds what an earlier life of the process stored; what it was still receiving is removed. */
  async open(): Promise<void> {
    const { directory, clock } = this.#options;
    await rm(join(directory, 'incoming'), { recursive: true, force: true });
    await mkdir(join(directory, 'incoming'), { recursive: true });
    for (const folder of await readdir(directory)) {
      if (!/^[0-9a-f]{2}$/.test(folder)) continue;
      for (const digest of await readdir(join(directory, folder))) {
        if (!DIGEST.test(digest)) continue;
        const { size } = await stat(join(directory, folder, digest));
        this.#entries.set(digest, { bytes: size, pixels: 0, references: 0, unusedSinceMs: clock.nowMs() });
        this.#budget.stored(diskBytes(size));
      }
    }
  }

  /** Size of a stored picture; undefined when it is not held. */
  sizeOf(digest: string): number | undefined {
    return this.#entries.get(digest)?.bytes;
  }

  /** Of a large picture that this life of the process received; 0 for others. */
  pixelsOf(digest: string): number {
    return this.#entries.get(digest)?.pixels ?? 0;
  }

  /** @throws Failure RESOURCE_EXHAUSTED / DISK_BUDGET */
  reserve(bytes: number): Reservation {
    return this.#budget.reserve(bytes);
  }

  /** Starts to receive a picture. The caller must end it with `store` or `abort`. */
  async receive(digest: string, sizeBytes: number): Promise<PictureFile> {
    const path = join(this.#options.directory, 'incoming', `${++this.#incoming}`);
    return PictureFile.create(path, { digest, sizeBytes });
  }

  /** Verifies a received picture and gives it its name. @throws Failure INVALID_ARGUMENT / PICTURE_DIGEST. Not retryable. */
  async store(file: PictureFile): Promise<void> {
    const folder = join(this.#options.directory, file.digest.slice(0, 2));
    await mkdir(folder, { recursive: true });
    await file.complete(join(folder, file.digest));
    this.#unsettled.add(folder);
    if (this.#entries.has(file.digest)) return;
    const { sizeBytes: bytes, pixels } = file;
    this.#entries.set(file.digest, { bytes, pixels, references: 0, unusedSinceMs: this.#options.clock.nowMs() });
    this.#budget.stored(diskBytes(bytes));
  }

  /** Puts the names of all stored pictures on the disk: one fsync a folder, not one a picture. */
  async settle(): Promise<void> {
    const folders = [...this.#unsettled];
    this.#unsettled.clear();
    try {
      for (const folder of [...folders, this.#options.directory]) {
        const handle = await open(folder, 'r');
        await handle.sync().finally(() => handle.close());
      }
    } catch (error) {
      for (const folder of folders) this.#unsettled.add(folder);
      throw error;
    }
  }

  /** @throws Failure DATA_LOSS / PICTURE_LOST. Not retryable. */
  async read(digest: string): Promise<Uint8Array> {
    const entry = this.#entries.get(digest);
    const bytes = entry && (await readFile(this.#pathOf(digest)).catch(() => undefined));
    if (bytes === undefined || bytes.length !== entry?.bytes)
      throw new Failure('DATA_LOSS', 'the picture is gone from the disk of its region', { reason: 'PICTURE_LOST' });
    return bytes;
  }

  /** A job needs these pictures. */
  retain(digests: Iterable<string>): void {
    for (const digest of digests) {
      const entry = this.#entries.get(digest);
      if (entry !== undefined) entry.references++;
    }
  }

  /**
   * A job does not need them any more. With `keep` they wait like those of an unfinished upload, for a client that goes
   * on; without, nobody will ask for them again.
   */
  release(digests: Iterable<string>, keep: boolean): void {
    for (const digest of digests) {
      const entry = this.#entries.get(digest);
      if (entry === undefined || entry.references === 0) continue;
      entry.references--;
      if (entry.references === 0) entry.unusedSinceMs = keep ? this.#options.clock.nowMs() : Number.NEGATIVE_INFINITY;
    }
  }

  /** Removes what no job needs and nobody came back for. @returns how many pictures. */
  async sweep(): Promise<number> {
    const { clock, orphanKeepMs, logger } = this.#options;
    const unused = [...this.#entries].filter(
      ([, { references, unusedSinceMs }]) => references === 0 && clock.nowMs() - unusedSinceMs >= orphanKeepMs,
    );
    for (const [digest, entry] of unused.slice(0, SWEEP_MAX)) {
      // Out of the index first: a job that is being accepted meanwhile must see that it is missing.
      this.#entries.delete(digest);
      this.#budget.removed(diskBytes(entry.bytes));
      await rm(this.#pathOf(digest), { force: true }).catch((error: unknown) => {
        logger.error({ err: error, digest }, 'a picture could not be removed');
      });
    }
    return Math.min(unused.length, SWEEP_MAX);
  }

  #pathOf(digest: string): string {
    return join(this.#options.directory, digest.slice(0, 2), digest);
  }
}
