import { Failure } from '@meridian/failure';

/** A model's output, whatever its element type was. Batch of one. */
export interface OutputTensor {
  readonly data: ArrayLike<number>;
  readonly dims: readonly number[];
}
export type Outputs = ReadonlyMap<string, OutputTensor>;

/** @throws Failure when the model has no such output: INVALID_ARGUMENT / MODEL_MANIFEST_MISMATCH. */
export function outputNamed(outputs: Outputs, name: string): OutputTensor {
  const output = outputs.get(name);
  if (output !== undefined) return output;
  throw mismatch(`the manifest names output ${name}, the model has ${Array.from(outputs.keys()).join(', ')}`);
}

/** Manifest and model do not fit each other. Not retryable. */
export function mismatch(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'MODEL_MANIFEST_MISMATCH' });
}

/** The output must end in an axis of this size: rows of so many columns. Gives the number of rows. */
export function rowsOf(output: OutputTensor, name: string, columns: number): number {
  const last = output.dims.at(-1) ?? 0;
  if (last === columns) return output.data.length / columns;
  throw mismatch(`output ${name} has shape [${output.dims.join(', ')}]; its last axis must be ${columns}`);
}
