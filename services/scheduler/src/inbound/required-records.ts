import { type ModelEntry, modelKey, type RequiredRecord } from '@meridian/replica';
import type { Ruling } from '../placement/residency.ts';

/**
 * The records that a task is accepted with: no worker runs it before its region has these, or newer ones. The model's is
 * that of the version that was chosen, the tenant's is the one that the residency rules were read from.
 */
export function requiredRecords(model: ModelEntry, { requires }: Pick<Ruling, 'requires'>): RequiredRecord[] {
  return [{ key: modelKey(model.name), dot: model.dot }, ...requires];
}
