import { Failure } from '@meridian/failure';
import type { Placement } from './geometry.ts';
import type { InputTensor } from './input-tensor.ts';
import type { Pixels } from './picture-decoder.ts';
import type { Recognition } from './recognition.ts';

/** A picture ready for inference. Made by the model that uses it; holds pixels, so keep few of them. */
export interface DecodedPicture {
  /** Pixels, upright. */
  readonly width: number;
  readonly height: number;
  /** From the call until the pixels were ready, waiting for a decoding thread included. Milliseconds. */
  readonly decodeMs: number;
  readonly tensor: InputTensor;
  readonly placement: Placement;
  /** Text models only: the picture itself, from which lines are cut. */
  readonly source?: Pixels;
}

export interface Inferred {
  readonly recognition: Recognition;
  /** From the call until the objects were known. Milliseconds. */
  readonly inferenceMs: number;
}

export interface Recognized extends Inferred {
  readonly decodeMs: number;
}

export interface CallOptions {
  /** Checked between steps; a step that runs is finished first. Then Failure CANCELLED. */
  readonly signal?: AbortSignal;
}

/**
 * A model in memory. `decode` runs on sharp's threads, `infer` occupies the calling thread: decode the next picture
 * while the last one is in the model. One `infer` at a time; any number of `decode`.
 */
export interface LoadedModel {
  readonly name: string;
  /** Identity of the manifest it was opened with. */
  readonly digest: string;
  /** @throws Failure INVALID_ARGUMENT with a reason PICTURE_…, DEADLINE_EXCEEDED / PICTURE_DECODE_TIMEOUT. */
  decode(picture: Uint8Array, options?: CallOptions): Promise<DecodedPicture>;
  /** @throws Failure INTERNAL / INFERENCE_FAILED. Not retryable. */
  infer(picture: DecodedPicture, options?: CallOptions): Promise<Inferred>;
  /** `decode`, then `infer`. */
  recognize(picture: Uint8Array, options?: CallOptions): Promise<Recognized>;
  /** Frees the model's memory. No call may be in progress. */
  close(): Promise<void>;
}

export function requireNotCancelled(options: CallOptions | undefined): void {
  if (options?.signal?.aborted) throw new Failure('CANCELLED', 'the recognition was cancelled');
}
