import { Failure } from '@meridian/failure';

/** A disk block: many tiny pictures must not take more disk (and memory for their entries) than is counted. */
const BLOCK_BYTES = 4096;
/** A client that was told the disk is full comes back after this long. */
const FULL_RETRY_MS = 30_000;

export function diskBytes(bytes: number): number {
  return Math.ceil(Math.max(bytes, 1) / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Bytes promised to an upload before its body: two uploads cannot both be promised the last byte. */
export interface Reservation {
  /** Part of the promise is used: what is on disk counts by itself. */
  used(bytes: number): void;
  /** The rest of the promise is void. Idempotent. */
  release(): void;
}

/** Disk use against its limit: what is stored plus what is promised. */
export class DiskBudget {
  readonly #limitBytes: number;
  #storedBytes = 0;
  #reservedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get storedBytes(): number {
    return this.#storedBytes;
  }

  stored(bytes: number): void {
    this.#storedBytes += bytes;
  }

  removed(bytes: number): void {
    this.#storedBytes -= bytes;
  }

  /** @throws Failure RESOURCE_EXHAUSTED / DISK_BUDGET with a retry delay. */
  reserve(bytes: number): Reservation {
    if (this.#storedBytes + this.#reservedBytes + bytes > this.#limitBytes) throw diskBudgetFull('pictures');
    let left = bytes;
    this.#reservedBytes += bytes;
    const give = (amount: number): void => {
      const given = Math.min(amount, left);
      left -= given;
      this.#reservedBytes -= given;
    };
    return { used: give, release: () => give(left) };
  }
}

export function diskBudgetFull(what: string): Failure {
  const message = `the disk budget for ${what} of this region is used up; accepted jobs go on, new ones must wait`;
  return new Failure('RESOURCE_EXHAUSTED', message, { reason: 'DISK_BUDGET', retryDelayMs: FULL_RETRY_MS });
}
