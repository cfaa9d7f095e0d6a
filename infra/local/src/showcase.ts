import { readFile } from 'node:fs/promises';
import { RecognitionService, type TaskResult } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { createChannel, createClient, loadTls, type RpcClient } from '@meridian/rpc';
import type { Sample } from './samples.ts';

export interface Shown {
  readonly sample: Sample;
  readonly region: string;
  readonly result: TaskResult | undefined;
  /** Why there is no result, or which labels were not found; empty when all is well. */
  readonly problem: string;
}

const ANSWER_TIMEOUT_MS = 60_000;

/**
 * Recognises every sample through every region: first one by one, then all at once, so that a busy region hands work
 * to the others. `onShown` is called as answers come.
 */
export async function showSamples(options: {
  readonly samples: readonly Sample[];
  readonly doors: ReadonlyMap<string, string>;
  readonly certificates: string;
  readonly windowBytes: number;
  /** How many times each photograph is sent through each region at once. */
  readonly copies: number;
  readonly onShown: (shown: Shown) => void;
}): Promise<readonly Shown[]> {
  const tls = await loadTls(options.certificates);
  const shown: Shown[] = [];
  for (const [region, address] of options.doors) {
    const channel = createChannel({ address, tls, windowBytes: options.windowBytes });
    const client = createClient(RecognitionService, channel);
    const calls = options.samples.flatMap((sample) => Array.from({ length: options.copies }, () => sample));
    const answers = calls.map(async (sample) => {
      const one = await showOne(client, region, sample);
      options.onShown(one);
      return one;
    });
    shown.push(...(await Promise.all(answers)));
    channel.close();
  }
  return shown;
}

async function showOne(client: RpcClient<typeof RecognitionService>, region: string, sample: Sample): Promise<Shown> {
  try {
    const picture = await readFile(sample.path);
    const response = await client.recognize({ picture }, { timeoutMs: ANSWER_TIMEOUT_MS });
    const result = response.result;
    return { sample, region, result, problem: problemOf(sample, result) };
  } catch (error) {
    return { sample, region, result: undefined, problem: Failure.from(error).message };
  }
}

function problemOf(sample: Sample, result: TaskResult | undefined): string {
  if (result?.outcome.case === 'error') return `${result.outcome.value.reason}: ${result.outcome.value.message}`;
  if (result?.outcome.case !== 'recognition') return 'an answer without a recognition';
  const found = new Set(result.outcome.value.objects.map((object) => object.label));
  const missing = sample.labels.filter((label) => !found.has(label));
  return missing.length === 0 ? '' : `not found: ${missing.join(', ')}`;
}
