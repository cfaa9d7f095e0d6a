import { byteSize, commonConfig, durationMs, hostPort } from '@meridian/runtime';
import { z } from 'zod';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const HOUR_MS = 3_600_000;

function count(min: number, max: number) {
  return z.coerce.number().int().min(min).max(max);
}

/** Environment of the scheduler: `MERIDIAN_` and the field in upper snake case. */
export const schedulerConfig = z.object({
  ...commonConfig,
  /** Where the public services and the workers' collector answer. */
  grpcListen: hostPort(),
  /** The region's own sync service. */
  syncAddress: hostPort(),
  /** Pictures of jobs. Default: `spool` in the state directory. */
  spoolDirectory: z.string().optional(),
  /** Of the spool. At the budget new jobs are refused before their body; accepted ones finish. */
  spoolBudgetBytes: byteSize(MIB / 16, 1024 * GIB).default(4 * GIB),
  /**
   * Of the stream JOBS, results that accepted jobs will still write included. Must stay below the stream's own limit
   * (1 GiB), at which accepted jobs could not finish.
   */
  jobsBudgetBytes: byteSize(MIB / 16, GIB).default(896 * MIB),
  /** From the end of a job to the purge of its record, results, pictures and idempotency key. */
  jobRetentionMs: durationMs(1000, 30 * 24 * HOUR_MS).default(24 * HOUR_MS),
  /** Pictures of a submission that was never completed are kept this long for the client to go on. */
  uploadKeepMs: durationMs(1000, 24 * HOUR_MS).default(HOUR_MS),
  /**
   * Tasks of this owner in one region at a time, per class and those above. Larger keeps far regions busy over longer
   * links; smaller keeps more tasks where load, health and priority can still change their place.
   */
  placementWindowPerRegion: count(1, 4096).default(64),
  /** A claim without PubAck is placed elsewhere after this. Above the round trip of the longest healthy link. */
  claimTimeoutMs: durationMs(100, 60_000).default(1500),
  /** Silence of a region: nothing new is placed there. Shorter reacts faster, but to jitter as well. */
  regionSuspectMs: durationMs(200, 60_000).default(1500),
  /** Silence of a region: what its queue holds is placed elsewhere. */
  regionDownMs: durationMs(500, 600_000).default(5000),
  /** Six of them are needed to believe that a link has become slower. */
  pingIntervalMs: durationMs(50, 60_000).default(200),
  /** A claim that no worker announced, when nothing else says that it is lost. */
  announceTimeoutMs: durationMs(1000, 24 * HOUR_MS).default(300_000),
  /** An announced claim without a result on a stream that is alive. Above every model's own time-out. */
  attemptTimeoutMs: durationMs(1000, 24 * HOUR_MS).default(300_000),
  /** Retryable failures of a task itself before it is a dead letter. */
  taskFailuresMax: count(1, 100).default(5),
  /** The same, of those that crashed or hung the worker's child. */
  taskCrashesMax: count(1, 100).default(3),
  /** Pictures of calls at a time; more are refused with a retry delay, streams wait. */
  callsMax: count(1, 10_000).default(256),
  /** Bytes of those pictures. */
  callsBytesMax: byteSize(16 * MIB, 64 * GIB).default(512 * MIB),
  /** Of the result cache: answers of `Recognize` that are given again. 0 turns it off. */
  cacheBytes: byteSize(0, 16 * GIB).default(64 * MIB),
  /** Answers in it. */
  cacheEntriesMax: count(1, 10_000_000).default(100_000),
  /** An answer is given again for so long after it was there. */
  cacheTtlMs: durationMs(1, 24 * HOUR_MS).default(10 * 60_000),
  /** Submissions at a time. */
  uploadsMax: count(1, 1000).default(32),
  /** Open tasks of all jobs: about half a kilobyte of memory each. */
  openTasksMax: count(1, 10_000_000).default(200_000),
  /** Jobs that are kept, ended ones included. */
  jobsMax: count(1, 10_000_000).default(50_000),
  /** Tasks of all kept jobs: about 100 bytes of memory each. */
  jobTasksMax: count(1, 100_000_000).default(2_000_000),
});

export type SchedulerConfig = Readonly<z.output<typeof schedulerConfig>>;
