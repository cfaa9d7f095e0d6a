import { formatDot, type VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';

/** Which entries are new to one reader: those whose set of versions is not the one it knows. One text a key. */
export class KeyNews {
  readonly #seen: VersionVector;
  readonly #told = new Map<string, string>();

  /** @param seen what the reader has from before */
  constructor(seen: VersionVector) {
    this.#seen = seen;
  }

  /** True when the reader has to be told; it knows the entry from then on. */
  take({ key, versions }: Entry): boolean {
    const dots = versions.map(({ dot }) => formatDot(dot)).join();
    const told = this.#told.get(key);
    if (told === dots) return false;
    this.#told.set(key, dots);
    // What changes a set of versions adds one, so a set without a new dot is the one that the reader has.
    return told !== undefined || versions.some(({ dot }) => !this.#seen.contains(dot));
  }
}
