import { runService } from '@meridian/runtime/service';
import { compose } from './compose.ts';
import { schedulerConfig } from './config.ts';

await runService({ name: 'scheduler', schema: schedulerConfig, compose });
