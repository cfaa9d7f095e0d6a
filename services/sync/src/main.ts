import { runService } from '@meridian/runtime';
import { compose } from './compose.ts';
import { syncConfig } from './config.ts';

await runService({ name: 'sync', schema: syncConfig, compose });
