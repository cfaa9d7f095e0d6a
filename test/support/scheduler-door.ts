import { submitJob, watchJob } from '@meridian/cli';
import type { RecognitionService, TaskResult } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import { systemClock, systemRandom } from '@meridian/runtime';
import { aPicture, sha256 } from './scheduler-world.ts';

/** What tests of the scheduler ask of its door. */
export type Door = RpcClient<typeof RecognitionService>;

export const soon = { timeoutMs: 10_000 };

export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  return call.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: unknown) => Failure.from(error),
  );
}

export const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

export function picturesOf(all: readonly number[]) {
  return all.map((number) => {
    const bytes = aPicture(number);
    const read = async function* () {
      yield bytes;
    };
    return { name: `${number}.jpg`, digest: sha256(bytes), sizeBytes: bytes.length, read };
  });
}

/** As the command line does it: over lost connections. @returns the job's id once it is accepted */
export function submit(client: Door, key: string, count: number, header = {}): Promise<string> {
  return submitJob({
    ...portsOf(client),
    header: { idempotencyKey: key, ...header },
    pictures: picturesOf(numbers(count)),
  });
}

export async function resultsOf(client: Door, jobId: string, cursor = 0n): Promise<TaskResult[]> {
  const results: TaskResult[] = [];
  for await (const update of watchJob({ ...portsOf(client), jobId, cursor }))
    if (update.kind === 'result') results.push(update.result);
  return results;
}

function portsOf(client: Door) {
  const door = {
    submit: (parts: Parameters<Door['submitJob']>[0]) => client.submitJob(parts),
    watch: (jobId: string, cursor: bigint) => client.watchJob({ jobId, cursor }),
  };
  return { door, clock: systemClock, random: systemRandom };
}
