import { runService } from '@meridian/runtime/service';
import { compose } from './compose.ts';
import { optimizerConfig } from './config.ts';

await runService({ name: 'optimizer', schema: optimizerConfig, compose });
