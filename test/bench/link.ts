import { join } from 'node:path';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { type RecognitionService as Recognition, RecognitionService } from '@meridian/contracts/recognition';
import { connectNats, Emitter } from '@meridian/messaging';
import { createClient, loadTls, Outbox, type RpcClient, windowBytes } from '@meridian/rpc';
import { createLogger, systemClock } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';
import { linkOf, regionOf } from '@meridian/topology';
import { variations } from '../faults/pictures.ts';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';
import { ScriptedWorker } from '../support/scripted-worker.ts';
import { emulatorRow } from './emulator.ts';
import { median, report } from './report.ts';

const OWNER = 'beijing';
const REMOTE = 'guangzhou';
const MODEL = 'centernet-320';
const ROUNDS = Number(process.env.ROUNDS ?? '3');
const PICTURES = 600;
const DIFFERENT = 40;
const BYTES = { min: 105_000, max: 115_000 };
/** Rounds repeat the pictures, and mean the work. */
const NO_CACHE = { MERIDIAN_CACHE_BYTES: '0' };
/** What one stream may have unanswered. */
const IN_FLIGHT = 64;
const TIMEOUT_MS = 120_000;

/**
 * Pictures of 110 KB that reach a worker at the far end of a link of 100 ms: real broker, scheduler, TLS and emulator; a
 * worker that only acknowledges, because what inference takes is not the link's doing. The region that owns the
 * pictures has no worker of its own.
 */
export async function link(): Promise<boolean> {
  const startedAt = new Date();
  const running = await startLocalSystem({ regions: [OWNER, REMOTE], environment: NO_CACHE });
  try {
    const roundTripMs = linkOf(running.system.topology, OWNER, REMOTE).roundTripMs;
    await stopWorkers(running);
    const worker = await startWorker(running);
    const photographs = running.provisioned.samples.map((sample) => sample.path);
    const pictures = (await variations(photographs, DIFFERENT, 7, 1100, BYTES)).map(({ bytes }) => bytes);
    const client = createClient(RecognitionService, await running.channel(OWNER));
    await send(client, pictures, IN_FLIGHT); // connections, windows and round-trip estimates settle
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS; round++) rates.push(await rateOf(client, pictures, worker));
    await worker.kill();
    return await report('link', startedAt, [
      {
        metric: 'link_pictures_per_second',
        value: median(rates),
        unit: '1/s',
        goal: '>= 100',
        peers: { 'round trip ms': roundTripMs, lowest: Math.min(...rates), highest: Math.max(...rates) },
      },
      await emulatorRow(),
    ]);
  } finally {
    await running.stop();
  }
}

async function stopWorkers(running: RunningSystem): Promise<void> {
  for (const name of [OWNER, REMOTE])
    for (const service of running.system.region(name).services)
      if (service.spec.name.includes('inference-worker')) await service.kill();
}

/** With the remote region's own credentials, attached to the owner by the address that this region has for it. */
async function startWorker(running: RunningSystem): Promise<ScriptedWorker> {
  const { plan, state, view } = running.system.region(REMOTE).settings;
  const certificates = join(state.certificates, REMOTE);
  const tls = await loadTls(join(certificates, 'worker'));
  const telemetry = startTelemetry({ service: 'bench', region: REMOTE, replica: '1', sampleRatio: 0 });
  const bus = await connectNats({
    url: `tls://127.0.0.1:${plan.ports.client}`,
    seedFile: join(certificates, 'nkeys', 'worker.seed'),
    tls,
    role: 'worker',
    name: 'bench',
    emitter: new Emitter({
      region: REMOTE,
      service: 'inference-worker',
      replica: 'bench',
      incarnation: 'bench',
      clock: systemClock,
      hlc: new HybridLogicalClock(() => systemClock.nowMs(), { driftMaxMs: 1000 }),
      knowledge: () => VersionVector.EMPTY,
    }),
    logger: createLogger({ name: 'bench', region: REMOTE, level: 'error' }),
    meter: telemetry.meter,
    clock: systemClock,
  });
  const { roundTripMs, bandwidthMbps } = linkOf(view, OWNER, REMOTE);
  const worker = new ScriptedWorker({
    bus,
    region: REMOTE,
    name: 'bench',
    tls,
    windowBytes: windowBytes(roundTripMs, bandwidthMbps),
    model: MODEL,
  });
  worker.slots = IN_FLIGHT;
  worker.attach(OWNER, regionOf(view, OWNER).grpcAddress);
  await worker.ready();
  return worker;
}

/** Arrivals at the worker, from the first to the last. */
async function rateOf(
  client: RpcClient<typeof Recognition>,
  pictures: readonly Buffer[],
  worker: ScriptedWorker,
): Promise<number> {
  const arrivals: number[] = [];
  const { answer } = worker;
  worker.answer = (self, key) => {
    arrivals.push(systemClock.monotonicMs());
    answer(self, key);
  };
  await send(client, pictures, PICTURES);
  worker.answer = answer;
  const [first = 0, last = 0] = [arrivals[0], arrivals.at(-1)];
  return (1000 * (arrivals.length - 1)) / (last - first);
}

async function send(client: RpcClient<typeof Recognition>, pictures: readonly Buffer[], count: number): Promise<void> {
  const requests = new Outbox<{ sequence: bigint; request: { picture: Buffer; model: string } }>();
  const push = (index: number) =>
    requests.push({
      sequence: BigInt(index),
      request: { picture: pictures[index % pictures.length] as Buffer, model: MODEL },
    });
  let next = 0;
  let answered = 0;
  while (next < Math.min(count, IN_FLIGHT)) push(next++);
  for await (const { sequence, result } of client.recognizeStream(requests, { timeoutMs: TIMEOUT_MS })) {
    if (result?.outcome.case !== 'recognition') throw new Error(`picture ${sequence}: no recognition`);
    answered += 1;
    if (next < count) push(next++);
    else if (answered === count) requests.finish();
  }
}
