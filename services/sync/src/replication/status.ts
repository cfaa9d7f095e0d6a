import type { VersionVector } from '@meridian/causality';

/** How far one region is, as another one knows it. */
export interface RegionSyncStatus {
  readonly region: string;
  /** `unheard`: nothing has come from it since this process started. `recovering`: its log was lost, it takes no writes. */
  readonly state: 'active' | 'removing' | 'removed' | 'recovering' | 'unheard';
  /** t_j: it is known to hold every member's acknowledged writes up to then, ms since 1970; 0 while not known. */
  readonly knownUntilMs: number;
  /** v_j: its sync rounds so far; a round is complete when something of every member has been applied completely. */
  readonly rounds: number;
  readonly vector: VersionVector;
  /** When it was last heard of, by the clock here; 0 for never. */
  readonly heardAtMs: number;
  /** Entries that it lacks, as far as is known here. */
  readonly pendingEntries: number;
  /** End of its last complete fetch from every member, by its clock; 0 for never. */
  readonly lastFetchAtMs: number;
  readonly conflicts: number;
  /** Of its whole state, canonical: equal vectors must have equal digests. */
  readonly digest: string;
}
