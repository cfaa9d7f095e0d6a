export {
  compareDots,
  currentValue,
  type Entry,
  hasSameContent,
  isConflicted,
  type Version,
  winnerOf,
} from './entry.ts';
export { decodeEntry, encodeEntry, KEY_CHARS_MAX, VERSIONS_MAX } from './entry-codec.ts';
export { type ModelEntry, ModelIndex } from './model-index.ts';
export { DEFAULT_MODEL, Replica, type ReplicaOptions, WAITERS_MAX } from './replica.ts';
export {
  decodeRecords,
  encodeRecord,
  formatRecord,
  hasRecord,
  REQUIRED_MAX,
  type RequiredRecord,
} from './required-record.ts';
export {
  CONFIG_NAME_CHARS_MAX,
  CONFIG_PREFIX,
  configKey,
  isConfigName,
  MODEL_PREFIX,
  modelKey,
  parseStateKey,
  READY_PREFIX,
  readyKey,
  type StateKey,
  tenantKey,
} from './state-key.ts';
