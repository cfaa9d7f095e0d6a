import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Failure } from '@meridian/failure';
import type { ModelPart } from '@meridian/models';
import * as ort from 'onnxruntime-node';
import type { InputTensor } from './input-tensor.ts';
import { mismatch, type Outputs, type OutputTensor } from './output-tensor.ts';

/** Gives the weights with a digest: bytes, or the path of a file (better for large ones: no copy in memory). */
export type ReadWeights = (digest: string) => Promise<Uint8Array | string>;

/**
 * One thread for each session: throughput comes from several processes, and a second thread spins while it waits,
 * which doubled the CPU time of a picture.
 */
const SESSION_OPTIONS: ort.InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  logSeverityLevel: 3,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
};

/** An ONNX graph in memory. `run` occupies the calling thread. */
export class ModelSession {
  private readonly session: ort.InferenceSession;
  private readonly inputName: string;

  private constructor(session: ort.InferenceSession, inputName: string) {
    this.session = session;
    this.inputName = inputName;
  }

  /**
   * Loads weights after checking that they have the digest of the manifest.
   * @throws Failure DATA_LOSS / MODEL_DIGEST_MISMATCH, INVALID_ARGUMENT / MODEL_INVALID when it is no ONNX graph that
   *   this runtime can load, INVALID_ARGUMENT / MODEL_MANIFEST_MISMATCH when the manifest names another input.
   */
  static async open(part: ModelPart, readWeights: ReadWeights): Promise<ModelSession> {
    const weights = await readWeights(part.digest);
    await requireDigest(part, weights);
    const session = await create(weights).catch((cause) => {
      const message = `${part.file} cannot be loaded as an ONNX model: ${textOf(cause)}`;
      throw new Failure('INVALID_ARGUMENT', message, { reason: 'MODEL_INVALID', cause });
    });
    if (!session.inputNames.includes(part.input.name)) {
      throw mismatch(`the manifest names input ${part.input.name}, the model has ${session.inputNames.join(', ')}`);
    }
    return new ModelSession(session, part.input.name);
  }

  /** @throws Failure INTERNAL / INFERENCE_FAILED, e.g. when the model wants another input shape. Not retryable. */
  async run(input: InputTensor): Promise<Outputs> {
    const type = input.data instanceof Float32Array ? 'float32' : 'uint8';
    const feed = { [this.inputName]: new ort.Tensor(type, input.data, input.dims) };
    const results = await this.session.run(feed).catch((cause) => {
      throw new Failure('INTERNAL', `the model failed: ${textOf(cause)}`, { reason: 'INFERENCE_FAILED', cause });
    });
    return new Map(
      Object.entries(results).map(([name, tensor]) => [name, { data: numbersOf(tensor), dims: tensor.dims }]),
    );
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}

async function create(weights: Uint8Array | string): Promise<ort.InferenceSession> {
  return typeof weights === 'string'
    ? ort.InferenceSession.create(weights, SESSION_OPTIONS)
    : ort.InferenceSession.create(weights, SESSION_OPTIONS);
}

async function requireDigest(part: ModelPart, weights: Uint8Array | string): Promise<void> {
  const hash = createHash('sha256');
  if (typeof weights === 'string') for await (const chunk of createReadStream(weights)) hash.update(chunk);
  else hash.update(weights);
  const found = `sha256:${hash.digest('hex')}`;
  if (found === part.digest) return;
  const message = `the weights ${part.file} have digest ${found}, the manifest names ${part.digest}`;
  throw new Failure('DATA_LOSS', message, { reason: 'MODEL_DIGEST_MISMATCH', details: { found } });
}

function numbersOf(tensor: ort.Tensor): OutputTensor['data'] {
  const { data } = tensor;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float64Array.from(data, Number);
  if (tensor.type === 'float16' && data instanceof Uint16Array) {
    return new Float16Array(data.buffer, data.byteOffset, data.length);
  }
  if (Array.isArray(data)) throw mismatch('an output of the model holds text');
  return data;
}

/** The runtime's own first line: it says what is wrong with the file, and no secrets. */
function textOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'unknown error';
  // ONNX Runtime begins with the path on this machine, which means nothing to others.
  const [line = ''] = thrown.message.replace(/^Load model from .* failed: ?/, '').split('\n');
  return line.slice(0, 300);
}
