export { attributeNames } from './attribute-names.ts';
export { type BackoffOptions, backoffMs } from './backoff.ts';
export { type Clock, systemClock, type Timer, VirtualClock } from './clock.ts';
export {
  byteSize,
  type CommonConfig,
  commonConfig,
  durationMs,
  flag,
  fraction,
  hostPort,
  parseConfig,
  port,
  variableOf,
} from './config.ts';
export { fail } from './fail.ts';
export { HEALTH_PATHS } from './health-door.ts';
export { type Component, Lifecycle, type LifecycleOptions } from './lifecycle.ts';
export { createLogger, type Logger } from './logger.ts';
export { type Random, seededRandom, systemRandom } from './random.ts';
export type { Service, ServiceComposition, ServiceContext } from './run-service.ts';
export { type FinishedSpan, SpanStore } from './span-store.ts';
export type { Telemetry, TelemetryOptions } from './telemetry.ts';
export { contextFromTraceparent, traceparentOf, tracestateOf } from './trace-context.ts';
