import { Failure } from '@meridian/failure';
import { type ModelEntry, type Replica, rollState } from '@meridian/replica';
import type { Territory } from '@meridian/residency';

export type Models = Pick<
  Replica,
  'get' | 'model' | 'models' | 'modelByDigest' | 'aliases' | 'aliasTarget' | 'readyRegions'
>;

const NOT_READY_RETRY_MS = 1000;
const NAMES_SHOWN = 20;

/**
 * The version that the name stands for in tasks that enter at `region`: a model's current one, or what an alias means
 * there now. An empty name is the default model. A name that is both is the model's.
 * @throws Failure NOT_FOUND / MODEL_UNKNOWN that lists the known names, or says that an alias names a version that is not
 *   here. Not retryable.
 */
export function modelOf(models: Models, name: string, region: string): ModelEntry {
  const model = models.model(name);
  if (model !== undefined) return model;
  const target = models.aliasTarget(name, region);
  if (target === undefined) throw unknownModel(models, name);
  const aliased = models.modelByDigest(target.digest);
  if (aliased !== undefined) return aliased;
  const message = `${name} means ${target.model} ${target.digest}, and that version is not known here: it was replaced, or is still on its way`;
  throw new Failure('NOT_FOUND', message, { reason: 'MODEL_UNKNOWN', details: { model: name } });
}

function unknownModel(models: Models, name: string): Failure {
  const aliases = models.aliases().map(({ roll }) => roll.alias);
  const known = [...models.models().map((entry) => entry.name), ...aliases];
  const shown = known.length === 0 ? 'none is known here yet' : `known are ${known.slice(0, NAMES_SHOWN).join(', ')}`;
  const what = name === '' ? 'the default model is not here' : `there is no model ${JSON.stringify(name.slice(0, 63))}`;
  return new Failure('NOT_FOUND', `${what}; ${shown}`, { reason: 'MODEL_UNKNOWN', details: { model: name } });
}

/** @throws Failure UNAVAILABLE / MODEL_NOT_READY when no region that may run it has it loaded. Retryable. */
export function requireReady(
  models: Models,
  model: Pick<ModelEntry, 'name' | 'digest'>,
  { allowed, isRestricted }: Territory,
): void {
  for (const region of models.readyRegions(model.digest)) if (allowed.has(region)) return;
  const where = isRestricted ? 'a region that the residency rules allow' : 'any region';
  throw new Failure('UNAVAILABLE', `model ${model.name} is not ready in ${where} yet`, {
    reason: 'MODEL_NOT_READY',
    retryDelayMs: NOT_READY_RETRY_MS,
  });
}

/** Whether the name is an alias that moves to another version now. */
export function isRolling(models: Models, name: string): boolean {
  if (models.model(name) !== undefined) return false;
  const entry = models.aliases().find(({ roll }) => roll.alias === name);
  return entry !== undefined && rollState(entry.roll, entry.phases) === 'under-way';
}
