import { Failure } from '@meridian/failure';
import { NatsAdmin } from '@meridian/messaging';
import { loadTls } from '@meridian/rpc';
import { createLogger, parseConfig, systemClock } from '@meridian/runtime';
import { initializerConfig } from './config.ts';
import { initializeRegion } from './initialize-region.ts';

/** Runs before the services of a region: exit 0 when its streams are there, 1 when they are not or are not what they were. */
async function main(): Promise<void> {
  const config = parseConfig(initializerConfig, process.env);
  const { region, natsUrl: url, natsSeedFile: seedFile, streamReplicas: replicas } = config;
  const logger = createLogger({ name: 'initializer', region, level: config.logLevel });
  const tls = loadTls(config.tlsDirectory);
  const identity = { role: 'initializer', name: `${region}-initializer` } as const;
  const admin = await NatsAdmin.connect({ url, region, seedFile, tls, logger, clock: systemClock, ...identity });
  try {
    const outcome = await initializeRegion(region, config.identityFile, {
      createStreams: () => admin.createStreams(region, { replicas }),
      verify: (names) => admin.verify(region, names),
    });
    logger.info({ outcome, replicas }, 'initialised');
  } finally {
    await admin.close();
  }
}

await main().catch((error: unknown) => {
  process.stderr.write(`initializer: ${Failure.from(error).message}\n`);
  process.exitCode = 1;
});
