import { z } from 'zod';

const jsz = z.object({
  account_details: z
    .array(
      z.object({
        stream_detail: z.array(z.object({ name: z.string(), state: z.object({ messages: z.number() }) })).default([]),
      }),
    )
    .default([]),
});

/** Claims in a region's work queue that are not acknowledged: waiting, or with a worker. Asked from the broker itself. */
export async function openTasks(monitorPort: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${monitorPort}/jsz?accounts=true&streams=true`, {
    signal: AbortSignal.timeout(2000),
  });
  const { account_details } = jsz.parse(await response.json());
  const streams = account_details.flatMap((account) => account.stream_detail);
  return streams.find((stream) => stream.name === 'TASKS')?.state.messages ?? 0;
}
