export { assemble, type Context, type Doors } from './assemble.ts';
export { compose } from './compose.ts';
export { type SchedulerConfig, schedulerConfig } from './config.ts';
export { ClaimLeftovers } from './outbound/claim-leftovers.ts';
