import { assert, Failure } from '@meridian/failure';
import { type InputSpec, type Manifest, type ModelPart, modelDigest } from '@meridian/models';
import sharp from 'sharp';
import type { LoadedModel } from './loaded-model.ts';
import { ModelSession, type ReadWeights } from './model-session.ts';
import { mismatch } from './output-tensor.ts';
import { PictureDecoder } from './picture-decoder.ts';
import { SingleStageModel } from './single-stage-model.ts';
import { TextModel } from './text-model.ts';

export interface OpenModelOptions {
  readonly manifest: Manifest;
  /** Weights by digest (`sha256:…`): bytes, or the path of the file. They are checked here. */
  readonly read: ReadWeights;
  /** For `decodeMs` and `inferenceMs`; monotonic. */
  readonly clock: { monotonicMs(): number };
}

/**
 * Loads a model and runs it once on a black picture: what is wrong with weights or manifest shows here, not at the
 * first picture, and the runtime has its memory.
 *
 * @throws Failure DATA_LOSS / MODEL_DIGEST_MISMATCH, INVALID_ARGUMENT / MODEL_INVALID (no loadable ONNX graph),
 *   MODEL_MANIFEST_MISMATCH (names or shapes differ) or MANIFEST_INVALID. Not retryable with the same files.
 */
export async function openModel(options: OpenModelOptions): Promise<LoadedModel> {
  const { manifest, read } = options;
  const common = {
    manifest,
    digest: modelDigest(manifest),
    pictures: new PictureDecoder({ timeoutMs: manifest.timeoutMs }),
    monotonicMs: () => options.clock.monotonicMs(),
  };
  const { decoder } = manifest;
  const model =
    decoder.kind === 'ppocr'
      ? new TextModel({
          ...common,
          decoder,
          detection: await stage(manifest.parts.detection, read),
          recognition: await stage(manifest.parts.recognition, read),
        })
      : new SingleStageModel({ ...common, decoder, ...(await stage(manifest.parts.model, read)) });
  try {
    await warmUp(model);
  } catch (thrown) {
    await model.close();
    throw thrown instanceof Failure && thrown.reason === 'INFERENCE_FAILED' ? mismatch(thrown.message) : thrown;
  }
  return model;
}

async function stage(
  part: ModelPart | undefined,
  read: ReadWeights,
): Promise<{ part: ModelPart; session: ModelSession }> {
  assert(part !== undefined, 'parseManifest has checked that the parts fit the decoder');
  requireConsistent(part.input);
  return { part, session: await ModelSession.open(part, read) };
}

/** What the schema cannot say. */
function requireConsistent(input: InputSpec): void {
  const plain = input.scale === 1 && input.mean.every((mean) => mean === 0) && input.std.every((std) => std === 1);
  if (input.type === 'uint8' && !plain)
    throw invalid('uint8 inputs take bytes as they are: leave out scale, mean, std');
  if (input.std.some((std) => std === 0)) throw invalid('std divides: it must not be 0');
  if (input.fit !== 'crop' || input.shorterSide === undefined) return;
  if (input.shorterSide >= Math.max(input.width, input.height)) return;
  throw invalid(`shorterSide ${input.shorterSide} is less than the crop of ${input.width} × ${input.height}`);
}

function invalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', `the manifest is not valid: input: ${message}`, {
    reason: 'MANIFEST_INVALID',
  });
}

async function warmUp(model: LoadedModel): Promise<void> {
  const black = sharp({ create: { width: 64, height: 64, channels: 3, background: '#000' } });
  await model.recognize(await black.png().toBuffer());
}
