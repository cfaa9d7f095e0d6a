import { z } from 'zod';

const stream = z.object({ name: z.string(), state: z.object({ messages: z.number(), last_seq: z.number() }) });
const jsz = z.object({
  account_details: z.array(z.object({ stream_detail: z.array(stream).default([]) })).default([]),
});

/** A stream's state, asked from the broker itself. */
async function streamState(monitorPort: number, name: string): Promise<{ messages: number; last_seq: number }> {
  const response = await fetch(`http://127.0.0.1:${monitorPort}/jsz?accounts=true&streams=true`, {
    signal: AbortSignal.timeout(2000),
  });
  const { account_details } = jsz.parse(await response.json());
  const streams = account_details.flatMap((account) => account.stream_detail);
  return streams.find((one) => one.name === name)?.state ?? { messages: 0, last_seq: 0 };
}

/** Claims in a region's work queue that are not acknowledged: waiting, or with a worker. */
export async function openTasks(monitorPort: number): Promise<number> {
  return (await streamState(monitorPort, 'TASKS')).messages;
}

/** Sequence of the last job record or result; results of all jobs have their order in it, and it is their cursor. */
export async function lastJobSequence(monitorPort: number): Promise<number> {
  return (await streamState(monitorPort, 'JOBS')).last_seq;
}
