import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { GraphModelFiles } from '@meridian/models';
import * as ort from 'onnxruntime-node';

export interface NamedTensor<T> {
  readonly name: string;
  readonly data: T;
  readonly dims: readonly number[];
}

export interface ReferenceRequest {
  readonly files: GraphModelFiles;
  readonly input: NamedTensor<Float32Array>;
  readonly outputs: readonly string[];
}
export type ReferenceAnswer = { readonly outputs: Float32Array[] } | { readonly error: string };

/** TF.js itself: slow and exact, what conversions are compared with. One request at a time. */
export class Reference {
  private readonly worker = new Worker(new URL('./tfjs-worker.ts', import.meta.url), {
    execArgv: [],
    stderr: true,
    stdout: true,
  });

  async run(request: ReferenceRequest): Promise<Float32Array[]> {
    const answered = once(this.worker, 'message');
    this.worker.postMessage(request);
    const [answer] = (await answered) as [ReferenceAnswer];
    if ('error' in answer) throw new Error(answer.error);
    return answer.outputs;
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }
}

/** Named outputs of an ONNX model for one input tensor. */
export async function runOnnx(
  model: Uint8Array,
  input: NamedTensor<Float32Array | Uint8Array>,
  outputs: readonly string[],
): Promise<Float32Array[]> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1 });
  const type = input.data instanceof Float32Array ? 'float32' : 'uint8';
  const results = await session.run({ [input.name]: new ort.Tensor(type, input.data, input.dims) });
  await session.release();
  return outputs.map((name) => Float32Array.from(results[name]?.data as Float32Array));
}

export function greatestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Number.NaN))), 0);
}
