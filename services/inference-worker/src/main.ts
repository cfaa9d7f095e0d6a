import { runService } from '@meridian/runtime/service';
import { compose } from './compose.ts';
import { workerConfig } from './config.ts';

await runService({ name: 'inference-worker', schema: workerConfig, compose });
