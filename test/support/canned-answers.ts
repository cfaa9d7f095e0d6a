import { create } from '@bufbuild/protobuf';
import { JobSchema, JobState, type RecognitionService } from '@meridian/contracts/recognition';
import { RegionHealth, type RegionService } from '@meridian/contracts/region';
import { Failure } from '@meridian/failure';
import type { ServiceHandlers } from '@meridian/rpc';

const recognition = {
  width: 64,
  height: 32,
  objects: [{ label: 'cat', score: 0.87, box: { x0: 0, y0: 0, x1: 0.5, y1: 1 } }],
};
const timings = { queueMs: 1, transferMs: 2, decodeMs: 3, inferenceMs: 4, returnMs: 5, totalMs: 15 };
export const result = (index: number, region = 'shanghai') => ({
  ...{
    taskId: `t${index}`,
    jobId: 'beijing-1',
    index,
    pictureName: `p${index}`,
    entryRegion: 'beijing',
    region,
    worker: 'w1',
  },
  ...{ attempts: 1, timings, outcome: { case: 'recognition' as const, value: recognition } },
});
export const job = create(JobSchema, {
  jobId: 'beijing-1',
  state: JobState.FINISHED,
  tasks: 2,
  succeeded: 2,
  acceptedUnixMs: 1_000n,
  finishedUnixMs: 3_000n,
  model: 'm',
});

/** Answers as a healthy region would. */
export function recognitionHandlers(): ServiceHandlers<typeof RecognitionService> {
  return {
    recognize: async () => ({ result: result(0), versionVector: 'beijing@1=1' }),
    recognizeStream: () => refuse(),
    submitJob: async (parts) => {
      for await (const _ of parts);
      return { jobId: job.jobId, accepted: true };
    },
    getJob: async () => ({ job }),
    listJobs: async () => ({ jobs: [job] }),
    watchJob: async function* (request) {
      for (let i = Number(request.cursor); i < 2; i++)
        yield { cursor: BigInt(i + 1), update: { case: 'result', value: result(i) } };
      yield { cursor: 2n, update: { case: 'job', value: job } };
    },
    cancelJob: async () => ({ job: { ...job, state: JobState.CANCELLED } }),
  };
}

function refuse(): AsyncGenerator<never> {
  throw new Failure('FAILED_PRECONDITION', 'not part of this test');
}

export const digest = `sha256:${'ab'.repeat(32)}`;
export const regionHandlers: ServiceHandlers<typeof RegionService> = {
  listRegions: async () => ({
    region: 'beijing',
    regions: [
      { name: 'beijing', health: RegionHealth.UP, capacity: 1, workers: 1, modelDigests: [digest] },
      { name: 'shanghai', health: RegionHealth.DOWN, roundTripMs: 50.4 },
    ],
  }),
  getTrace: async () => ({
    spans: [{ name: 'task', service: 'scheduler', region: 'beijing', spanId: 'a', startUnixMs: 1, durationMs: 20 }],
    unreachableRegions: ['guangzhou'],
  }),
  explainTask: async ({ taskId }) => ({
    ...{ taskId, keptMax: 100 },
    decisions: [
      {
        ...{ attempt: 1, fence: 1_048_577n, decidedUnixMs: 1n, winner: 'shanghai', priority: 'high', waitWeight: 4 },
        ...{ modelDigest: digest, restricted: true, allowedRegions: ['beijing', 'shanghai'] },
        candidates: [
          { region: 'beijing', serviceMs: 30, priceMs: 90, waitMs: 10, totalMs: 160 },
          { region: 'shanghai', roundTripMs: 50, transferMs: 1, serviceMs: 30, totalMs: 81 },
          { region: 'guangzhou', exclusion: 'residency', roundTripMs: 100, serviceMs: 30, totalMs: 130 },
        ],
      },
    ],
  }),
};
