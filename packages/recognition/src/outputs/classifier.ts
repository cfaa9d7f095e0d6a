import type { DecoderSpec } from '@meridian/models';
import { mismatch, type Outputs, outputNamed } from '../output-tensor.ts';
import type { RecognizedObject } from '../recognition.ts';
import { labelOf } from './candidates.ts';

type ClassifierSpec = Extract<DecoderSpec, { kind: 'classifier' }>;

/** The `topK` best classes above the threshold. */
export function decodeClassifier(
  outputs: Outputs,
  spec: ClassifierSpec,
  labels: readonly string[],
): RecognizedObject[] {
  const { data, dims } = outputNamed(outputs, spec.output);
  if (data.length !== labels.length) {
    throw mismatch(`output ${spec.output} has shape [${dims.join(', ')}], the manifest ${labels.length} labels`);
  }
  const scores = activated(Array.from(data), spec.activation);
  return scores
    .map((score, classIndex) => ({ label: labelOf(labels, classIndex), classIndex, score }))
    .filter(({ score }) => score >= spec.scoreThreshold)
    .sort((a, b) => b.score - a.score)
    .slice(0, Math.min(spec.topK, spec.limit));
}

function activated(logits: number[], activation: ClassifierSpec['activation']): number[] {
  if (activation === 'none') return logits;
  if (activation === 'sigmoid') return logits.map(sigmoid);
  // The largest is taken off first, so that exp cannot overflow.
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
