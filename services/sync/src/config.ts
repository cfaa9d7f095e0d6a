import { byteSize, commonConfig, durationMs, hostPort } from '@meridian/runtime';
import { z } from 'zod';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Environment of the sync service: `MERIDIAN_` and the field in upper snake case. */
export const syncConfig = z.object({
  ...commonConfig,
  /** Where StateService answers. */
  grpcListen: hostPort(),
  /** Installed catalogue, offered to the shared state at the start; unset: none. */
  catalogueDirectory: z.string().optional(),
  /** Weights of models that operators add. */
  blobDirectory: z.string(),
  /** Of all files there. More keeps more models, less leaves the disk to others. */
  blobBytesMax: byteSize(MIB, 1024 * GIB).default(16 * GIB),
  /**
   * From no model naming weights any more to their removal. Longer brings a model that was removed by mistake back without
   * sending its weights again, shorter gives room back sooner.
   */
  blobGraceMs: durationMs(1_000, 30 * 24 * 3_600_000).default(3_600_000),
  /**
   * Of weights that come from other regions, in a second. More brings models sooner, less leaves the links to claims and
   * pictures.
   */
  blobBytesPerSecondMax: byteSize(64 * 1024, 16 * GIB).default(16 * MIB),
  /**
   * How long a start waits for every region to answer before it offers the catalogue and serves. Longer makes a new
   * epoch after a restart less likely; shorter lets a region that is cut off serve sooner.
   */
  peerWaitMs: durationMs(0, 60_000).default(3_000),
  /** Between two fetches from a peer that answers. Shorter heals lost deltas sooner and costs a small request each. */
  fetchIntervalMs: durationMs(100, 3_600_000).default(10_000),
  /**
   * What a link whose bandwidth rounds and deltas fill may make of it; below fetchIntervalMs it is that. Longer leaves slow
   * links to claims and pictures, shorter heals lost deltas there sooner.
   */
  fetchIntervalMaxMs: durationMs(100, 3_600_000).default(60_000),
  /** Between two heartbeats to the other regions. Shorter notices lost deltas sooner and costs a small message each. */
  headIntervalMs: durationMs(100, 60_000).default(1_000),
  /** From the last worker of a model leaving to the region not being ready for it any more. */
  unreadyAfterMs: durationMs(0, 3_600_000).default(10_000),
});

export type SyncConfig = Readonly<z.output<typeof syncConfig>>;
