export interface CacheLimits {
  /** Of all entries, keys and overhead included. 0: nothing is kept. */
  readonly bytesMax: number;
  readonly entriesMax: number;
  /** From when an entry was put. */
  readonly ttlMs: number;
}

/** An answer as it is kept: bytes, so that they can be counted and nobody can change them. */
export interface CachedResult {
  /** Encoded TaskResult. */
  readonly result: Uint8Array;
  readonly tenant: string;
  readonly taskId: string;
  readonly versionVector: string;
  readonly computedUnixMs: number;
}

/** `room`: pushed out by others; `age`: at the end of its time; `residency`: it may not be here any more. */
export type Eviction = 'room' | 'age' | 'residency';

interface Slot {
  readonly key: string;
  readonly value: CachedResult;
  readonly bytes: number;
  readonly putMs: number;
  isProtected: boolean;
}

/** What an entry takes in the heap beside its bytes and texts: objects, buffer, three places in maps. As measured. */
export const ENTRY_OVERHEAD_BYTES = 640;
/** Of the bytes, for entries that were asked for again: the rest stays open for new ones. */
const PROTECTED_SHARE = 0.8;
/** Of the bytes, for one entry: no single answer may push out all others. */
const ENTRY_SHARE_MAX = 1 / 16;

/**
 * Answers by key, for a time and within bytes: a segmented least-recently-used cache. One-off pictures, which are most,
 * push out one another and not what was asked for twice.
 *
 * 1. All entries together are at most `bytesMax` and `entriesMax`, at every moment.
 * 2. Nothing is given out `ttlMs` after it was put, however often it is asked for.
 * 3. At most PROTECTED_SHARE of the bytes is protected; an entry is so from its second use on, until others push it back.
 * 4. Unprotected entries leave first, the one that was not used for longest before others.
 * 5. The clock is the caller's and must not go back.
 */
export class ResultCache {
  readonly #limits: CacheLimits;
  readonly #evicted: (why: Eviction) => void;
  /** All, in the order in which they were put. */
  readonly #slots = new Map<string, Slot>();
  /** Each in the order of last use. */
  readonly #probation = new Set<Slot>();
  readonly #protected = new Set<Slot>();
  #bytes = 0;
  #protectedBytes = 0;

  constructor(limits: CacheLimits, evicted: (why: Eviction) => void) {
    this.#limits = limits;
    this.#evicted = evicted;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#slots.size;
  }

  get(key: string, nowMs: number): CachedResult | undefined {
    this.expire(nowMs);
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    this.#protect(slot);
    return slot.value;
  }

  /** Replaces what the key had. @returns false when it is too large to be kept. */
  put(key: string, value: CachedResult, nowMs: number): boolean {
    this.expire(nowMs);
    const before = this.#slots.get(key);
    if (before !== undefined) this.#remove(before);
    const { bytesMax, entriesMax } = this.#limits;
    const bytes = entryBytes(key, value);
    if (bytes > bytesMax * ENTRY_SHARE_MAX) return false;
    while (this.#bytes + bytes > bytesMax || this.#slots.size >= entriesMax) this.#evictOne();
    const slot = { key, value, bytes, putMs: nowMs, isProtected: false };
    this.#slots.set(key, slot);
    this.#probation.add(slot);
    this.#bytes += bytes;
    return true;
  }

  /** Drops what is over its time. */
  expire(nowMs: number): void {
    for (const slot of this.#slots.values()) {
      if (nowMs - slot.putMs < this.#limits.ttlMs) return;
      this.#remove(slot);
      this.#evicted('age');
    }
  }

  /** Drops the answers of tenants that may not be here. Looks at every entry. */
  dropUnless(mayKeep: (tenant: string) => boolean): void {
    const verdicts = new Map<string, boolean>();
    for (const slot of [...this.#slots.values()]) {
      const { tenant } = slot.value;
      const verdict = verdicts.get(tenant) ?? mayKeep(tenant);
      verdicts.set(tenant, verdict);
      if (verdict) continue;
      this.#remove(slot);
      this.#evicted('residency');
    }
  }

  #evictOne(): void {
    const slot = first(this.#probation) ?? first(this.#protected);
    if (slot === undefined) throw new RangeError('an empty cache has no room for one entry');
    this.#remove(slot);
    this.#evicted('room');
  }

  #protect(slot: Slot): void {
    if (!slot.isProtected) this.#protectedBytes += slot.bytes;
    slot.isProtected = true;
    this.#probation.delete(slot);
    this.#protected.delete(slot);
    this.#protected.add(slot);
    while (this.#protectedBytes > this.#limits.bytesMax * PROTECTED_SHARE) this.#pushBack();
  }

  /** To the end of probation: it has a last chance before those that come now. */
  #pushBack(): void {
    const slot = first(this.#protected);
    if (slot === undefined) return;
    this.#protected.delete(slot);
    this.#probation.add(slot);
    this.#protectedBytes -= slot.bytes;
    slot.isProtected = false;
  }

  #remove(slot: Slot): void {
    this.#slots.delete(slot.key);
    this.#probation.delete(slot);
    if (this.#protected.delete(slot)) this.#protectedBytes -= slot.bytes;
    this.#bytes -= slot.bytes;
  }
}

function entryBytes(key: string, { result, tenant, taskId, versionVector }: CachedResult): number {
  return key.length + result.length + tenant.length + taskId.length + versionVector.length + ENTRY_OVERHEAD_BYTES;
}

function first(slots: ReadonlySet<Slot>): Slot | undefined {
  for (const slot of slots) return slot;
  return undefined;
}
