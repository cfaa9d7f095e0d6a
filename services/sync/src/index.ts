export {
  decodeDelta,
  decodeFetchAnswer,
  decodeFetchRequest,
  decodeLogRecord,
  encodeDelta,
  encodeFetchAnswer,
  encodeFetchRequest,
  encodeLogRecord,
} from './codec/replication-codec.ts';
export { type Assembly, assemble, compose, type Doors } from './compose.ts';
export { type SyncConfig, syncConfig } from './config.ts';
export { STATE_SERVICE_ALLOW, stateServiceHandlers } from './inbound/state-service.ts';
