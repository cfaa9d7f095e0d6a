import type { Installation } from '@meridian/certificates';
import type { StreamAdministration } from '@meridian/initializer';
import { NatsAdmin } from '@meridian/messaging';
import { loadTls } from '@meridian/rpc';
import { createLogger, systemClock } from '@meridian/runtime';
import type { RegionPlan } from './region-plan.ts';

/** The initializer's connection to the region's broker. Close it after use. */
export async function administration(settings: {
  readonly plan: RegionPlan;
  readonly installation: Installation;
}): Promise<StreamAdministration & { close(): Promise<void> }> {
  const region = settings.plan.region;
  const credentials = settings.installation.regions[region];
  if (credentials === undefined) throw new RangeError(`no credentials for ${region}`);
  const admin = await NatsAdmin.connect({
    url: `tls://127.0.0.1:${settings.plan.ports.client}`,
    region,
    role: 'initializer',
    name: `${region}-initializer`,
    seedFile: credentials.seedFiles.initializer,
    tls: await loadTls(credentials.certificates.initializer),
    logger: createLogger({ name: 'initializer', region, level: 'error' }),
    clock: systemClock,
  });
  return {
    createStreams: () => admin.createStreams(region),
    verify: (names) => admin.verify(region, names),
    close: () => admin.close(),
  };
}
