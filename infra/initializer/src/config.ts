import { commonConfig } from '@meridian/runtime';
import { z } from 'zod';

/** Environment of the initializer: `MERIDIAN_` and the field in upper snake case. */
export const initializerConfig = z.object({
  region: commonConfig.region,
  natsUrl: commonConfig.natsUrl,
  natsSeedFile: commonConfig.natsSeedFile,
  tlsDirectory: commonConfig.tlsDirectory,
  logLevel: commonConfig.logLevel,
  /** Written at the region's first start. Must be on another disk than the brokers' store: a store that is gone is noticed by it. */
  identityFile: z.string(),
  /** Brokers that keep each stream. */
  streamReplicas: z.coerce.number().int().min(1).max(5).default(1),
});

export type InitializerConfig = Readonly<z.output<typeof initializerConfig>>;
