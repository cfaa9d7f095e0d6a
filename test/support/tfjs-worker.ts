import '@tensorflow/tfjs-backend-cpu';
import { parentPort } from 'node:worker_threads';
import { type GraphModel, loadGraphModel } from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import type { ReferenceAnswer, ReferenceRequest } from './tfjs.ts';

/**
 * TF.js in pure JavaScript, in a thread of its own: inside jest's sandbox every look-up of a global is intercepted,
 * which makes it five times slower.
 */
async function load(files: ReferenceRequest['files']): Promise<GraphModel> {
  await tf.setBackend('cpu');
  const model = JSON.parse(files.json);
  const weightSpecs = model.weightsManifest.flatMap((group: { weights: unknown[] }) => group.weights);
  return loadGraphModel({ load: async () => ({ ...model, weightSpecs, weightData: files.weights.slice().buffer }) });
}

function run(model: GraphModel, { input, outputs }: ReferenceRequest): Float32Array[] {
  return tf.tidy(() => {
    const tensor = tf.tensor(input.data, [...input.dims]);
    const results = model.execute({ [input.name]: tensor }, [...outputs]);
    return (Array.isArray(results) ? results : [results]).map((result) => Float32Array.from(result.dataSync()));
  });
}

parentPort?.on('message', async (request: ReferenceRequest) => {
  let answer: ReferenceAnswer;
  try {
    const model = await load(request.files);
    answer = { outputs: run(model, request) };
    model.dispose();
  } catch (error) {
    answer = { error: String(error) };
  }
  parentPort?.postMessage(answer);
});
