import { runService } from '@meridian/runtime/service';
import { compose } from './compose.ts';
import { syncConfig } from './config.ts';

await runService({ name: 'sync', schema: syncConfig, compose });
