export { decodeBlobAsk } from './codec/blob-codec.ts';
export {
  decodeDelta,
  decodeFetchAnswer,
  decodeFetchRequest,
  decodeHead,
  decodeLogRecord,
  encodeDelta,
  encodeFetchAnswer,
  encodeFetchRequest,
  encodeHead,
  encodeLogRecord,
} from './codec/replication-codec.ts';
export { type Assembly, assemble, compose, type Doors } from './compose.ts';
export { type SyncConfig, syncConfig } from './config.ts';
export { decodeSeen, encodeSeen } from './history/history.ts';
export { STATE_SERVICE_ALLOW, stateServiceHandlers } from './inbound/state-service.ts';
