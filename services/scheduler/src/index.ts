export { assemble, type Context, type Doors } from './assemble.ts';
export { cacheKey } from './cache/cache-key.ts';
export { ENTRY_OVERHEAD_BYTES, ResultCache } from './cache/result-cache.ts';
export { compose } from './compose.ts';
export { type SchedulerConfig, schedulerConfig } from './config.ts';
export { ClaimLeftovers } from './outbound/claim-leftovers.ts';
