import type { Update } from './sync-workload.ts';

/** What a region's process needs to stand beside its broker. */
export interface RegionSetting {
  readonly region: string;
  readonly members: readonly string[];
  readonly natsUrl: string;
  readonly seedFile: string;
  readonly tlsDirectory: string;
  readonly directory: string;
}

/** What a region's process is asked to do; it answers one at a time. Times are of {@link sharedMs}. */
export type Order =
  /** Batches one after the other, each written at once and awaited. */
  | { readonly kind: 'write'; readonly updates: readonly Update[]; readonly batch: number }
  /** One after the other, one each interval, without waiting for the one before. */
  | { readonly kind: 'pace'; readonly updates: readonly Update[]; readonly everyMs: number }
  /** Until everything that the vector covers can be read here. */
  | { readonly kind: 'await'; readonly vector: string }
  /** From now on, remembers when each value could first be read. */
  | { readonly kind: 'observe' }
  | { readonly kind: 'observed' }
  /** Of all keys and the values that readers see. */
  | { readonly kind: 'digest' }
  /** After a collection. */
  | { readonly kind: 'memory' };

export interface Answer {
  readonly atMs: number;
  readonly vector: string;
  readonly cpuMs: number;
  /** Of `pace`: when each value was acknowledged. Of `observed`: when it could be read. */
  readonly times?: Readonly<Record<string, number>>;
  readonly digest?: string;
  readonly keys?: number;
  readonly bytes?: number;
}

/** One clock for all processes of the machine. */
export function sharedMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
