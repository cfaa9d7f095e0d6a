export { type ActorId, actorId, isActorId, regionOf } from './actor.ts';
export {
  compareTimestamps,
  formatTimestamp,
  HybridLogicalClock,
  parseTimestamp,
  TIMESTAMP_ZERO,
  type Timestamp,
} from './hybrid-logical-clock.ts';
export { type Dot, formatDot, type Order, parseDot, VersionVector } from './version-vector.ts';
