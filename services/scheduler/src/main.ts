import { runService } from '@meridian/runtime';
import { compose } from './compose.ts';
import { schedulerConfig } from './config.ts';

await runService({ name: 'scheduler', schema: schedulerConfig, compose });
