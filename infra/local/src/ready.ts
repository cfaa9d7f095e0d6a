import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatTable } from '@meridian/cli';
import { RegionHealth, RegionService, type RegionView } from '@meridian/contracts/region';
import { StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { DEFAULT_MODEL } from '@meridian/models';
import { createChannel, createClient, loadTls } from '@meridian/rpc';
import type { Clock } from '@meridian/runtime';
import type { LocalSystem } from './system.ts';

const MODELS_TIMEOUT_MS = 120_000;
const ASK_INTERVAL_MS = 200;
const WINDOW_BYTES = 2 ** 20;

/**
 * Waits until every model that comes with Meridian is ready in every region that is up, as each of them sees it. Models
 * that people added may be in one region only, or fit nowhere: they hold up no start.
 * @throws Failure UNAVAILABLE / MODELS_NOT_READY that names the regions which are not.
 */
export async function awaitModels(system: LocalSystem, clock: Clock): Promise<void> {
  const untilMs = clock.monotonicMs() + MODELS_TIMEOUT_MS;
  const catalogue = await catalogueDigests(system.paths.models);
  const up = [...system.regions.values()].filter((region) => region.state === 'up').map((region) => region.name);
  for (const observer of up)
    for (;;) {
      const missing = await regionsNotReady(system, observer, up, catalogue);
      if (missing.length === 0) break;
      if (clock.monotonicMs() > untilMs)
        throw new Failure('UNAVAILABLE', `models are not ready in ${missing.join(', ')}; see ${system.paths.logs}`, {
          reason: 'MODELS_NOT_READY',
        });
      await clock.sleep(ASK_INTERVAL_MS);
    }
}

/** Of the converted models; one that somebody has replaced under its name is not among what the regions know. */
async function catalogueDigests(directory: string): Promise<ReadonlySet<string>> {
  const folders = (await readdir(directory, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const digests = await Promise.all(
    folders.map(({ name }) => readFile(join(directory, name, 'digest'), 'utf8').catch(() => '')),
  );
  return new Set(digests.map((digest) => digest.trim()));
}

async function regionsNotReady(
  system: LocalSystem,
  observer: string,
  up: readonly string[],
  catalogue: ReadonlySet<string>,
): Promise<string[]> {
  const views = await regionViews(system, observer).catch(() => []);
  const models = await modelsOf(system, observer).catch(() => []);
  const digests = models.map((model) => model.modelDigest).filter((digest) => catalogue.has(digest));
  const hasDefault = models.some((model) => model.name === DEFAULT_MODEL);
  return up.filter(
    (name) =>
      !hasDefault ||
      !isReady(
        views.find((view) => view.name === name),
        digests,
      ),
  );
}

function isReady(view: RegionView | undefined, digests: readonly string[]): boolean {
  return (
    view !== undefined &&
    view.health === RegionHealth.UP &&
    view.workers > 0 &&
    digests.every((digest) => view.modelDigests.includes(digest))
  );
}

async function regionViews(system: LocalSystem, observer: string): Promise<readonly RegionView[]> {
  return withClientChannel(system, system.schedulerAddress(observer), async (channel) => {
    const client = createClient(RegionService, channel);
    return (await client.listRegions({}, { timeoutMs: 2000 })).regions;
  });
}

async function modelsOf(
  system: LocalSystem,
  region: string,
): Promise<{ name: string; modelDigest: string; readyRegions: string[] }[]> {
  return withClientChannel(system, system.syncAddress(region), async (channel) => {
    const client = createClient(StateService, channel);
    return (await client.listModels({}, { timeoutMs: 2000 })).models;
  });
}

async function withClientChannel<T>(
  system: LocalSystem,
  address: string,
  use: (channel: ReturnType<typeof createChannel>) => Promise<T>,
): Promise<T> {
  const tls = await loadTls(join(system.paths.certificates, 'client'));
  const channel = createChannel({ address, tls, windowBytes: WINDOW_BYTES });
  try {
    return await use(channel);
  } finally {
    channel.close();
  }
}

/** The READY table: regions with services, ports and models; then the links. */
export async function readyTable(system: LocalSystem): Promise<string> {
  const rows = await Promise.all(
    Array.from(system.regions.values(), async (region) => {
      const { ports, instances } = region.settings.plan;
      const models = region.state === 'up' ? await modelsOf(system, region.name).catch(() => []) : [];
      const ready = models.filter((model) => model.readyRegions.includes(region.name)).map((model) => model.name);
      return [
        region.name,
        region.state === 'up' ? 'READY' : region.state.toUpperCase(),
        `broker ${instances.map(({ name }) => name).join(' ')}`,
        `gRPC ${ports.scheduler} · NATS ${ports.client}`,
        ready.join(' ') || region.problem,
      ];
    }),
  );
  const links = system.topology.links.map((link) => [
    link.between.join(' – '),
    `${link.roundTripMs} ms round trip`,
    `${link.bandwidthMbps} Mbit/s`,
  ]);
  return `\n${formatTable(['region', 'state', 'processes', 'ports', 'models'], rows)}\n\n${formatTable(['link', 'delay', 'bandwidth'], links)}\n`;
}
