import { hash } from 'node:crypto';
import { formatDot, formatTimestamp } from '@meridian/causality';
import type { Entry } from '@meridian/replica';

/**
 * Digest of a whole state, kept up to date entry by entry: the exclusive or of a hash of every entry. It finds what went
 * wrong by chance or by mistake (bit rot, a merge that is wrong); a forger could build states of equal digest.
 *
 * Canonical: values with their dots, times and contents. What leaves the state at different times in different regions
 * is not part of it: contexts and deletions.
 */
export class StateDigest {
  readonly #sum = new Uint8Array(DIGEST_BYTES);

  /** Adds the entry, or takes it out again. */
  toggle(entry: Entry | undefined): void {
    if (entry === undefined || isGone(entry)) return;
    const parts: Uint8Array[] = [Buffer.from(`${entry.key}\n`)];
    for (const { dot, hlc, value, deleted } of entry.versions)
      if (!deleted) parts.push(Buffer.from(`${formatDot(dot)} ${formatTimestamp(hlc)} ${value.length}\n`), value);
    const bytes = hash('sha256', Buffer.concat(parts), 'buffer');
    for (let i = 0; i < DIGEST_BYTES; i++) this.#sum[i] = (this.#sum[i] as number) ^ (bytes[i] as number);
  }

  toString(): string {
    return Buffer.from(this.#sum).toString('hex');
  }
}

const DIGEST_BYTES = 16;

/** Nothing but deletions is left. */
function isGone(entry: Entry): boolean {
  return entry.versions.every(({ deleted }) => deleted);
}
