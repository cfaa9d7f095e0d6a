export {
  type AliasRoll,
  type AliasTarget,
  type Evidence,
  isInRoll,
  NO_EVIDENCE,
  type PhaseName,
  type Phases,
  phaseOf,
  type RegionPhase,
  type RollGate,
  type RollState,
  rollState,
  settledTarget,
  targetIn,
} from './alias.ts';
export {
  aliasMessage,
  encodeAlias,
  encodePhase,
  evidenceOf,
  phaseMessage,
  ROLL_REGIONS_MAX,
  targetMessage,
} from './alias-codec.ts';
export { type AliasEntry, AliasIndex } from './alias-index.ts';
export { ENDED_EPOCHS_MAX, EndedEpochs, type EndedLife, encodeEndedEpochs, livesListedIn } from './ended-epochs.ts';
export {
  compareDots,
  currentValue,
  type Entry,
  hasSameContent,
  isConflicted,
  type Version,
  winnerOf,
} from './entry.ts';
export {
  AUTHOR_CHARS_MAX,
  decodeEntry,
  EXTENSION_BYTES_MAX,
  encodeEntry,
  KEY_CHARS_MAX,
  VERSIONS_MAX,
} from './entry-codec.ts';
export { decodeMember, decodeSeal, encodeMember, encodeSeal, type Member, type Seal } from './member.ts';
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
  ALIAS_PREFIX,
  aliasKey,
  CONFIG_NAME_CHARS_MAX,
  CONFIG_PREFIX,
  configKey,
  epochsKey,
  isConfigName,
  isStateKey,
  MODEL_PREFIX,
  memberKey,
  modelKey,
  parseStateKey,
  READY_PREFIX,
  ROLL_PREFIX,
  readyKey,
  rollKey,
  type StateKey,
  sealKey,
  TENANT_PREFIX,
  tenantKey,
} from './state-key.ts';
