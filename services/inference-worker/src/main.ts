import { runService } from '@meridian/runtime';
import { compose } from './compose.ts';
import { workerConfig } from './config.ts';

await runService({ name: 'inference-worker', schema: workerConfig, compose });
