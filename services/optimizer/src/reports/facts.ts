import type { PriorityClassName } from '@meridian/contracts';

/** What a region says of its own load, checked. */
export interface LoadFacts {
  readonly region: string;
  /** Wall clock of the region. */
  readonly measuredMs: number;
  /** As configured there; worker-seconds a second of the reference model, ≥ 0. */
  readonly capacity: number;
  /** Pictures at a time; 0: no worker. */
  readonly workers: number;
  readonly outstanding: number;
  readonly priceMs: number;
  /** Measured there, by model. */
  readonly serviceMs: ReadonlyMap<string, number>;
  /** undefined: no worker of it has measured that yet. */
  readonly ahead: AheadFacts | undefined;
}

/** Claims that workers take ahead, as each has decided for itself. */
export interface AheadFacts {
  /** That have measured, at least one. */
  readonly workers: number;
  /** Of them together, at least one each. */
  readonly claims: number;
  /** Medians over them: from asking for a picture to having it; one picture on a slot. */
  readonly fetchMs: number;
  readonly serviceMs: number;
}

/** What one scheduler says of its callers and its ways, checked. */
export interface DemandFacts {
  readonly region: string;
  readonly measuredMs: number;
  readonly sources: readonly SourceFacts[];
  /** By region that answers it. */
  readonly links: ReadonlyMap<string, LinkFacts>;
  /** Measured on its tasks. */
  readonly services: readonly ServiceFacts[];
  readonly unlistedPerSecond: number;
  /** undefined: turned off. */
  readonly cache: CacheFacts | undefined;
}

export interface SourceFacts {
  /** Empty for several models together. */
  readonly modelDigest: string;
  readonly model: string;
  readonly priority: PriorityClassName;
  /** Sorted; undefined: no rule. */
  readonly allowed: readonly string[] | undefined;
  /** Sorted. */
  readonly runnable: readonly string[];
  readonly tasksPerSecond: number;
  readonly pictureBytes: number;
  readonly expectedServiceMs: number;
  /** Mean of the pictures that were answered; 0: none was. */
  readonly picturePixels: number;
  /** Until such a picture is downscaled where it is sent from; 0: not known. */
  readonly downscaleMs: number;
  /** That the model takes; 0: pictures go to it in full. */
  readonly modelPixels: number;
}

/** A scheduler's result cache, and what is asked of it. */
export interface CacheFacts {
  readonly bytesMax: number;
  readonly bytes: number;
  readonly entries: number;
  readonly ttlMs: number;
  readonly hitsPerSecond: number;
  readonly missesPerSecond: number;
  readonly evictionsPerSecond: number;
}

export interface LinkFacts {
  readonly roundTripMs: number;
  readonly bandwidthMbps: number;
  readonly transfers: number;
}

export interface ServiceFacts {
  readonly region: string;
  readonly modelDigest: string;
  readonly serviceMs: number;
  readonly variation: number;
  /** 0: the variation is not known. */
  readonly samples: number;
}

/**
 * Why a report, or an entry of one, is left out of account.
 *
 * `region`: it speaks of a region that is not its own, or there is none; `number`: not a number, negative or absurd;
 * `text`: no priority class, no digest; `too-many`: more entries than any of ours sends, or more schedulers;
 * `stale`: measured too long ago; `ahead`: by a clock ahead of ours; `old`: not later than the one before;
 * `unknown-region`: an entry about a region that is not in the topology here: the rest counts.
 */
export type Refusal = 'region' | 'number' | 'text' | 'too-many' | 'stale' | 'ahead' | 'old' | 'unknown-region';
