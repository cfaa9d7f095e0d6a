export { compose } from './compose.ts';
export { type OptimizerConfig, optimizerConfig } from './config.ts';
