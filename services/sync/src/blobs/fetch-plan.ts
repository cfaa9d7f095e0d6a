import { assert } from '@meridian/failure';
import { backoffMs, type Random } from '@meridian/runtime';

/** Blobs fetched at once. Two, so that a source that falls silent does not stop everything. */
export const FETCHES_MAX = 2;
/** Between two rounds over all sources that brought nothing. */
const RETRY = { initialMs: 500, maxMs: 10_000 };
/** Room comes when models are removed, or somebody gives the region more. */
const ROOM_RETRY = { initialMs: 10_000, maxMs: 300_000 };
/** A source that did not answer is asked after the others for so long. */
const SILENT_MS = 15_000;

export interface WantedBlob {
  readonly digest: string;
  readonly bytes: number;
  /** Regions to ask, likeliest first. */
  readonly sources: readonly string[];
}

export interface PlannedFetch {
  readonly digest: string;
  readonly bytes: number;
  readonly source: string;
}

/** `refused`: the source answers, but not with these bytes. `silent`: it does not answer. `no-room`: the fault is here. */
export type FetchOutcome = 'here' | 'refused' | 'silent' | 'no-room';

interface Slot {
  blob: WantedBlob;
  /** In this round over the sources. */
  readonly tried: Set<string>;
  /** Rounds, or looks for room, without any progress. */
  idleRounds: number;
  notBeforeMs: number;
  /** The source that is asked now. */
  source: string | undefined;
  last: FetchOutcome | undefined;
}

/**
 * Decides which blob is fetched next, and from where.
 *
 * 1. At most {@link FETCHES_MAX} blobs at once, each from one source.
 * 2. After a failure the blob's next source gets its turn at once; when all had one, the blob waits for a while. A source
 *    that was silent comes after the others, for all blobs.
 * 3. A blob that is not wanted any more is not begun; one under way is let end.
 * 4. What changes about a blob's sources gives it a new chance at once, unless it waits for room.
 */
export class FetchPlan {
  readonly #random: Random;
  readonly #slots = new Map<string, Slot>();
  readonly #silentUntilMs = new Map<string, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Blobs that are wanted and not here. */
  get size(): number {
    return this.#slots.size;
  }

  /** Replaces what is wanted. */
  want(blobs: readonly WantedBlob[]): void {
    const wanted = new Map(blobs.map((blob) => [blob.digest, blob]));
    for (const [digest, slot] of this.#slots) {
      if (wanted.has(digest)) continue;
      if (slot.source === undefined) this.#slots.delete(digest);
      else slot.blob = { ...slot.blob, sources: [] };
    }
    for (const [digest, blob] of wanted) {
      const slot = this.#slots.get(digest);
      if (slot === undefined) this.#slots.set(digest, newSlot(blob));
      else renew(slot, blob);
    }
  }

  begin(nowMs: number): PlannedFetch | undefined {
    const slot = this.#next();
    if (slot === undefined || slot.notBeforeMs > nowMs) return undefined;
    slot.source = this.#chooseSource(slot, nowMs);
    return { digest: slot.blob.digest, bytes: slot.blob.bytes, source: slot.source };
  }

  /** @param progressed whether any byte came */
  end({ digest, source }: PlannedFetch, outcome: FetchOutcome, progressed: boolean, nowMs: number): void {
    const slot = this.#slots.get(digest);
    assert(slot?.source === source, 'what ends has begun');
    slot.source = undefined;
    slot.last = outcome;
    if (outcome === 'here') return void this.#slots.delete(digest);
    if (outcome === 'silent') this.#silentUntilMs.set(source, nowMs + SILENT_MS);
    if (progressed) slot.idleRounds = 0;
    if (outcome === 'no-room') slot.notBeforeMs = nowMs + backoffMs(slot.idleRounds++, ROOM_RETRY, this.#random);
    else this.#leave(slot, source, nowMs);
  }

  /** When `begin` may give something again if nothing happens meanwhile; undefined: never. */
  nextAtMs(): number | undefined {
    return this.#next()?.notBeforeMs;
  }

  /** Why a blob waits: there is no room, or all sources were asked and none had it. Undefined when it does not wait. */
  obstacle(digest: string): 'no-room' | 'no-source' | undefined {
    const slot = this.#slots.get(digest);
    if (slot === undefined || slot.source !== undefined || slot.idleRounds === 0) return undefined;
    return slot.last === 'no-room' ? 'no-room' : 'no-source';
  }

  isUnderWay(digest: string): boolean {
    return this.#slots.get(digest)?.source !== undefined;
  }

  /** The blob that has waited longest; undefined while enough are under way. */
  #next(): Slot | undefined {
    let [first, running]: [Slot | undefined, number] = [undefined, 0];
    for (const slot of this.#slots.values()) {
      if (slot.source !== undefined) running++;
      else if (slot.blob.sources.length > 0 && slot.notBeforeMs < (first?.notBeforeMs ?? Number.POSITIVE_INFINITY))
        first = slot;
    }
    return running < FETCHES_MAX ? first : undefined;
  }

  #leave(slot: Slot, source: string, nowMs: number): void {
    slot.tried.add(source);
    slot.notBeforeMs = nowMs;
    if (!slot.blob.sources.every((other) => slot.tried.has(other))) return;
    slot.tried.clear();
    slot.notBeforeMs += backoffMs(slot.idleRounds++, RETRY, this.#random);
  }

  #chooseSource({ blob, tried }: Slot, nowMs: number): string {
    const open = blob.sources.filter((source) => !tried.has(source));
    const speaking = open.find((source) => (this.#silentUntilMs.get(source) ?? 0) <= nowMs);
    const source = speaking ?? open[0] ?? blob.sources[0];
    assert(source !== undefined, 'a blob without sources is not begun');
    return source;
  }
}

function newSlot(blob: WantedBlob): Slot {
  return { blob, tried: new Set(), idleRounds: 0, notBeforeMs: 0, source: undefined, last: undefined };
}

function renew(slot: Slot, blob: WantedBlob): void {
  const isSame = blob.sources.join() === slot.blob.sources.join();
  slot.blob = blob;
  if (isSame || slot.last === 'no-room') return;
  slot.tried.clear();
  slot.idleRounds = 0;
  slot.notBeforeMs = 0;
}
