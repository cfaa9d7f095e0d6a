import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { connectNats, Emitter, type MessageBus } from '@meridian/messaging';
import { winnerOf } from '@meridian/replica';
import { loadTls } from '@meridian/rpc';
import { createLogger, parseConfig, systemClock, systemRandom } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';
import { type Assembly, assemble, syncConfig } from '@meridian/sync';
import { type Answer, type Order, type RegionSetting, sharedMs } from './sync-order.ts';
import type { Update } from './sync-workload.ts';

/**
 * One region's sync service as it is composed, on its real broker, in a process of its own that takes orders from the
 * benchmark: writes enter at the replicator, so that what is measured is replication and not a door.
 */
const WRITE_TIMEOUT_MS = 60_000;
const CLOCK_DRIFT_MAX_MS = 1_000;

const setting = JSON.parse(process.argv[2] ?? '{}') as RegionSetting;
const { region } = setting;
const logger = createLogger({ name: 'sync', region, level: 'error' });
const telemetry = startTelemetry({ service: 'sync', region, replica: 'sync', sampleRatio: 0 });
const config = parseConfig(syncConfig, {
  MERIDIAN_REGION: region,
  MERIDIAN_REPLICA: 'sync',
  MERIDIAN_TOPOLOGY_FILE: 'unused',
  MERIDIAN_NATS_URL: setting.natsUrl,
  MERIDIAN_NATS_SEED_FILE: setting.seedFile,
  MERIDIAN_TLS_DIRECTORY: setting.tlsDirectory,
  MERIDIAN_GRPC_LISTEN: '127.0.0.1:0',
  MERIDIAN_STATE_DIRECTORY: join(setting.directory, 'state'),
  MERIDIAN_BLOB_DIRECTORY: join(setting.directory, 'blobs'),
});
let knowledge = () => VersionVector.EMPTY;
const bus = await connect();
const context = { config, logger, clock: systemClock, random: systemRandom, telemetry };
const { members } = setting;
const assembly: Assembly = assemble(context, {
  bus,
  members,
  linkTo: () => undefined,
  regions: [region, ...members].map((name) => ({ name, zone: name })),
  onFatal: (failure) =>
    queueMicrotask(() => {
      throw failure;
    }),
});
const { replicator } = assembly;
knowledge = () => replicator.vector;
for (const component of assembly.components) await component.start();

const seen = new Map<string, number>();
process.on('message', (order: Order) => void obey(order).then((answer) => process.send?.({ ...common(), ...answer })));
process.on('disconnect', () => process.exit(0));
process.send?.(common());

async function obey(order: Order): Promise<Partial<Answer>> {
  if (order.kind === 'write') return writeBatches(order.updates, order.batch);
  if (order.kind === 'pace') return { times: await pace(order.updates, order.everyMs) };
  if (order.kind === 'await') return { atMs: await covered(VersionVector.parse(order.vector) ?? VersionVector.EMPTY) };
  if (order.kind === 'observe') {
    seen.clear();
    void observe();
    return {};
  }
  if (order.kind === 'observed') return { times: Object.fromEntries(seen) };
  if (order.kind === 'digest') return digest();
  return memory();
}

function common(): Pick<Answer, 'atMs' | 'vector' | 'cpuMs'> {
  const { user, system } = process.cpuUsage();
  return { atMs: sharedMs(), vector: replicator.vector.toString(), cpuMs: (user + system) / 1_000 };
}

async function write({ key, value }: Update): Promise<void> {
  const change = { key, value: Buffer.from(value), when: 'differs' } as const;
  const { changed } = await replicator.write(change, { timeoutMs: WRITE_TIMEOUT_MS });
  if (!changed) throw new Error(`${key}: nothing was written`);
}

async function writeBatches(updates: readonly Update[], batch: number): Promise<Partial<Answer>> {
  for (let at = 0; at < updates.length; at += batch) await Promise.all(updates.slice(at, at + batch).map(write));
  return {};
}

async function pace(updates: readonly Update[], everyMs: number): Promise<Record<string, number>> {
  const times: Record<string, number> = {};
  const startMs = sharedMs();
  const writes: Promise<void>[] = [];
  for (const [i, update] of updates.entries()) {
    await systemClock.sleep(Math.max(0, startMs + i * everyMs - sharedMs()));
    const acknowledged = () => {
      times[update.value] = sharedMs();
    };
    writes.push(write(update).then(acknowledged));
  }
  await Promise.all(writes);
  return times;
}

function covered(vector: VersionVector): Promise<number> {
  return new Promise((resolve) => {
    const look = () => {
      if (!replicator.vector.dominates(vector)) return;
      unlisten();
      resolve(sharedMs());
    };
    const unlisten = replicator.onChange(look);
    look();
  });
}

/** As a reader of the region's watch is told. */
async function observe(): Promise<void> {
  for await (const { entries } of replicator.watch(replicator.vector, new AbortController().signal)) {
    const atMs = sharedMs();
    for (const { versions } of entries)
      for (const { value } of versions) {
        const text = Buffer.from(value).toString();
        if (!seen.has(text)) seen.set(text, atMs);
      }
  }
}

function digest(): Partial<Answer> {
  const entries = [...replicator.entries()].filter(({ key }) => key.startsWith('config/'));
  const lines = entries.map((entry) => `${entry.key} ${Buffer.from(winnerOf(entry)?.value ?? []).toString()}`).sort();
  return { digest: createHash('sha256').update(lines.join('\n')).digest('hex'), keys: lines.length };
}

function memory(): Partial<Answer> {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return { bytes: heapUsed + external, keys: [...replicator.entries()].length };
}

function connect(): Promise<MessageBus> {
  const emitter = new Emitter({
    ...{ region, service: 'sync', replica: 'sync', clock: systemClock, knowledge: () => knowledge() },
    incarnation: systemRandom.bigint64().toString(16).padStart(16, '0'),
    hlc: new HybridLogicalClock(() => systemClock.nowMs(), { driftMaxMs: CLOCK_DRIFT_MAX_MS }),
  });
  return connectNats({
    ...{ url: setting.natsUrl, seedFile: setting.seedFile, tls: loadTls(setting.tlsDirectory) },
    ...{ role: 'sync', name: `${region}-sync`, emitter, logger, meter: telemetry.meter, clock: systemClock },
  });
}
