import { Failure } from '@meridian/failure';
import type { ModelEntry, Replica } from '@meridian/replica';

export type Models = Pick<Replica, 'get' | 'model' | 'models' | 'readyRegions'>;

const NOT_READY_RETRY_MS = 1000;
const NAMES_SHOWN = 20;

/**
 * The model's current version; an empty name is the default.
 * @throws Failure NOT_FOUND / MODEL_UNKNOWN that lists the known models. Not retryable.
 */
export function modelOf(models: Models, name: string): ModelEntry {
  const model = models.model(name);
  if (model !== undefined) return model;
  const known = models.models().map((entry) => entry.name);
  const shown = known.length === 0 ? 'none is known here yet' : `known are ${known.slice(0, NAMES_SHOWN).join(', ')}`;
  const what = name === '' ? 'the default model is not here' : `there is no model ${JSON.stringify(name.slice(0, 63))}`;
  throw new Failure('NOT_FOUND', `${what}; ${shown}`, { reason: 'MODEL_UNKNOWN', details: { model: name } });
}

/** @throws Failure UNAVAILABLE / MODEL_NOT_READY when no region that may run it has it loaded. Retryable. */
export function requireReady(models: Models, model: ModelEntry, allowed: ReadonlySet<string> | undefined): void {
  for (const region of models.readyRegions(model.digest)) if (allowed?.has(region) ?? true) return;
  const where = allowed === undefined ? 'any region' : 'a region that the residency rule allows';
  throw new Failure('UNAVAILABLE', `model ${model.name} is not ready in ${where} yet`, {
    reason: 'MODEL_NOT_READY',
    retryDelayMs: NOT_READY_RETRY_MS,
  });
}
