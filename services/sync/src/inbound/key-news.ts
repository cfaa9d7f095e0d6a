import { formatDot, type VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';

interface Told {
  readonly dots: string;
  readonly isDeleted: boolean;
}

/** Which entries are new to one reader: those whose set of versions is not the one it knows. One text a key. */
export class KeyNews {
  readonly #seen: VersionVector;
  readonly #told = new Map<string, Told>();

  /** @param seen what the reader has from before */
  constructor(seen: VersionVector) {
    this.#seen = seen;
  }

  /** True when the reader has to be told; it knows the entry from then on. */
  take({ key, versions }: Entry): boolean {
    const dots = versions.map(({ dot }) => formatDot(dot)).join();
    const told = this.#told.get(key);
    // Who knows of the deletion need not hear that it was collected, and it need not be remembered.
    if (versions.length === 0 && told?.isDeleted !== false) {
      this.#told.delete(key);
      return false;
    }
    if (told?.dots === dots) return false;
    this.#told.set(key, { dots, isDeleted: versions.every(({ deleted }) => deleted) });
    // What changes a set of versions adds one, so a set without a new dot is the one that the reader has.
    return told !== undefined || versions.some(({ dot }) => !this.#seen.contains(dot));
  }
}
