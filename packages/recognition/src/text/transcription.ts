import { mismatch, type OutputTensor } from '../output-tensor.ts';

export interface Transcription {
  readonly text: string;
  /** Mean probability of the characters; 0 for an empty line. */
  readonly score: number;
}

/**
 * Connectionist temporal classification, greedy: the best class of each step; repeats of a class are one character,
 * class 0 is the blank between characters.
 * @throws Failure INVALID_ARGUMENT / MODEL_MANIFEST_MISMATCH when the alphabet is not the network's.
 */
export function transcribe(output: OutputTensor, alphabet: readonly string[]): Transcription {
  const classes = output.dims.at(-1) ?? 0;
  if (classes !== alphabet.length + 1) {
    throw mismatch(`the recognition part has ${classes} classes, the manifest ${alphabet.length} labels and the blank`);
  }
  const steps = output.data.length / classes;
  let text = '';
  let sum = 0;
  let count = 0;
  let previous = 0;
  for (let step = 0; step < steps; step += 1) {
    const { best, score } = bestOf(output.data, step * classes, classes);
    if (best !== 0 && best !== previous) {
      text += alphabet[best - 1] ?? '';
      sum += score;
      count += 1;
    }
    previous = best;
  }
  return { text: text.trim(), score: count === 0 ? 0 : sum / count };
}

function bestOf(data: ArrayLike<number>, start: number, count: number): { best: number; score: number } {
  let best = 0;
  let score = data[start] ?? 0;
  for (let i = 1; i < count; i += 1) {
    const value = data[start + i] ?? 0;
    if (value > score) {
      best = i;
      score = value;
    }
  }
  return { best, score };
}
