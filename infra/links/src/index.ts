export type { LinkClock } from './clock.ts';
export type { Conditions, LinkStatus } from './link.ts';
export { LinkEmulator } from './link-emulator.ts';
export type { RouteOptions, RouteStats } from './route.ts';
