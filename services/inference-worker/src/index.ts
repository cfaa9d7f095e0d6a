export { assemble, compose } from './compose.ts';
export { type WorkerConfig, workerConfig } from './config.ts';
