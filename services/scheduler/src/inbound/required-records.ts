import { type ModelEntry, modelKey, type Replica, type RequiredRecord, tenantKey, winnerOf } from '@meridian/replica';

/**
 * The records that a task is accepted with: no worker runs it before its region has these, or newer ones. The model's is
 * that of the version that was chosen; the tenant's is the one that readers see, where there is one.
 */
export function requiredRecords(replica: Pick<Replica, 'get'>, model: ModelEntry, tenant: string): RequiredRecord[] {
  const key = tenantKey(tenant);
  const entry = replica.get(key);
  const record = entry && winnerOf(entry);
  const ofModel = { key: modelKey(model.name), dot: model.dot };
  return record === undefined ? [ofModel] : [ofModel, { key, dot: record.dot }];
}
