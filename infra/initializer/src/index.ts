export { type InitializerConfig, initializerConfig } from './config.ts';
export { forgetRegion, initializeRegion, type StreamAdministration } from './initialize-region.ts';
