import { readFile } from 'node:fs/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { type Recognition, RecognitionSchema } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { type GoldenPicture, goldenProblem, type Manifest } from '@meridian/models';
import type { PreparedModel } from '../child/loaded-models.ts';
import type { ChildPool } from '../child/pool.ts';
import type { ModelStore } from './model-store.ts';

interface GoldenPorts {
  readonly slots: Pick<ChildPool, 'run'>;
  readonly store: Pick<ModelStore, 'ensure'>;
}

/**
 * Shows a loaded model its golden pictures, one after the other, on the way that the pictures of tasks take.
 * @throws Failure FAILED_PRECONDITION / GOLDEN_PICTURE_WRONG (another answer) or GOLDEN_PICTURE_FAILED (none): trying again
 *   does not mend them. INTERNAL / GOLDEN_PICTURE_FAILED, retryable, when the inference process ended; UNAVAILABLE when the
 *   worker is stopping.
 */
export async function requireGolden(
  model: PreparedModel,
  manifest: Manifest,
  ports: GoldenPorts,
  signal: AbortSignal,
): Promise<void> {
  for (const picture of manifest.golden ?? []) {
    const found = await recognize(model, picture, ports, signal);
    const problem = goldenProblem(picture, found.objects);
    if (problem !== '') throw new Failure('FAILED_PRECONDITION', problem, { reason: 'GOLDEN_PICTURE_WRONG' });
  }
}

async function recognize(
  model: PreparedModel,
  picture: GoldenPicture,
  { slots, store }: GoldenPorts,
  signal: AbortSignal,
): Promise<Recognition> {
  const outcome = await slots.run(model, await readFile(await store.ensure(picture, signal)));
  if (outcome.kind === 'recognition') return fromBinary(RecognitionSchema, outcome.recognition);
  const { code, reason, message, retryable } = outcome.failure;
  if (code === 'UNAVAILABLE') throw new Failure(code, message, { reason });
  throw new Failure(retryable ? 'INTERNAL' : 'FAILED_PRECONDITION', `golden picture ${picture.file}: ${message}`, {
    reason: 'GOLDEN_PICTURE_FAILED',
    retryable,
  });
}
