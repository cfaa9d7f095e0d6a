import { byteSize, commonConfig, durationMs, hostPort } from '@meridian/runtime';
import { z } from 'zod';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const count = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** Environment of the inference worker: `MERIDIAN_` and the field in upper snake case. */
export const workerConfig = z.object({
  ...commonConfig,
  /** host:port of the region's sync service. */
  syncAddress: hostPort(),
  /** Inference processes, one core each. More use more cores, and as many times the memory of the models. */
  slots: count(1, 64).default(1),
  /**
   * Above 0 the worker is as slow as the capacity of its region in regions.yaml says: so many pictures at a time, each for at
   * least so long. For regions that share a machine.
   */
  paceMs: durationMs(0, 60_000).default(0),
  /** Pictures given to an inference process at once: one in the model, the others decoding or decoded. */
  inFlightPerSlot: count(1, 8).default(3),
  /** Claims held at most beyond one for each queue. More hide long links, but keep claims from other workers. */
  prefetchMax: count(1, 1024).default(24),
  /** Bytes of pictures asked for or held at most. */
  pictureBytesMax: byteSize(16 * MIB, 16 * GIB).default(64 * MIB),
  /** A claim whose owner cannot be reached for this long goes back to the queue. */
  ownerUnreachableMs: durationMs(100, 600_000).default(5_000),
  /**
   * A claim waits this long for records of the shared state that its region lacks. Longer bridges slower links; shorter
   * places its task elsewhere sooner.
   */
  recordWaitMs: durationMs(100, 60_000).default(10_000),
  /** Results kept for owners that have not acknowledged them; beyond it nothing new is taken. */
  unacknowledgedMax: count(16, 65_536).default(1_024),
  /** Models in the memory of each inference process; the one used longest ago makes room. */
  modelsLoadedMax: count(1, 64).default(6),
  /** Weights kept on disk; what is not used goes first. */
  modelStoreBytesMax: byteSize(64 * MIB, 1024 * GIB).default(8 * GIB),
  /** Resident memory of an inference process from which it is replaced. */
  childMemoryMaxBytes: byteSize(256 * MIB, 256 * GIB).default(2 * GIB),
});

export type WorkerConfig = Readonly<z.output<typeof workerConfig>>;
