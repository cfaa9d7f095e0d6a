import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { createIdentity, writeIdentity } from '@meridian/certificates';
import { RecognitionService, type RecognizeResponse, TaskResultSchema } from '@meridian/contracts/recognition';
import { SERVICE_NODE_FLAGS } from '@meridian/local';
import { RpcServer } from '@meridian/rpc/server';
import { createLogger, systemClock } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';
import sharp from 'sharp';
import { absentMethods } from '../support/absent-methods.ts';
import { SchedulerWorld } from '../support/scheduler-world.ts';
import { announcing } from './cache-announcing.ts';
import type { LoadCost, LoadOrder } from './cache-load.ts';
import { lookups } from './cache-lookups.ts';
import { median, percentile, type Row, report } from './report.ts';

const ROUNDS = Number(process.env.ROUNDS ?? '11');
const ROUND_MS = 1_000;
const LANES = 16;
const PICTURES = 16;
const BYTES = { min: 107_000, max: 113_000 };
const WINDOW_BYTES = 2 ** 20;

interface Cost extends LoadCost {
  /** Of the process of both servers. */
  readonly serverCpuMs: number;
}

/**
 * Hits through gRPC `Recognize`, JPEGs of 110 KB over mutual TLS, beside a server of the same kind in the same process
 * that answers every call with the same response: what is lost is the digest, the lookup, the trace and the count. The
 * scheduler is the real one, on a broker in memory; the load comes from another process; rounds take turns.
 */
export async function cache(): Promise<boolean> {
  const startedAt = new Date();
  const folder = await mkdtemp(join(tmpdir(), 'meridian-bench-'));
  const world = await SchedulerWorld.open();
  try {
    const bytes = await writePictures(folder);
    process.stdout.write(
      `${PICTURES} JPEGs of ${Math.round(bytes / 1000)} KB, ${ROUNDS} rounds of ${ROUND_MS} ms each\n`,
    );
    const scheduler = await world.start('beijing');
    const worker = await world.worker('beijing', 'w1', [scheduler]);
    worker.objects = Array.from({ length: 8 }, (_, i) => ({
      ...{ label: 'person', classIndex: i, score: 0.9 - i / 20 },
      box: { x0: 0.1, y0: 0.2, x1: 0.3, y1: 0.4 },
    }));
    const identity = await createIdentity(world.authority, { role: 'client', region: 'beijing', name: 'load' });
    await writeIdentity(folder, identity);
    const door = await world.recognition(scheduler);
    const load = await start(folder);
    const fill = { port: scheduler.port, lanes: 1, forMs: 2_000, wantsCached: false };
    await order(load, fill);
    const picture = await noise(1, 256);
    await door.recognize({ picture }, { timeoutMs: 10_000 });
    const response = await door.recognize({ picture }, { timeoutMs: 10_000 });
    const constant = await serveConstant(world, response);
    const rows = await compare(load, scheduler.port, constant.port);
    load.kill('SIGKILL');
    await constant.close();
    const resultBytes = encodedBytes(response);
    return await report('cache', startedAt, [...rows, ...lookups(resultBytes), ...announcing(resultBytes)]);
  } finally {
    await world.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns the bytes of one, on average */
async function writePictures(folder: string): Promise<number> {
  let total = 0;
  let edge = 500;
  for (let i = 0; i < PICTURES; ) {
    const jpeg = await noise(i, edge);
    if (jpeg.length < BYTES.min || jpeg.length > BYTES.max) {
      edge = Math.round(edge * Math.sqrt((BYTES.min + BYTES.max) / 2 / jpeg.length));
      continue;
    }
    await writeFile(join(folder, `${String(i).padStart(2, '0')}.jpg`), jpeg);
    total += jpeg.length;
    i++;
  }
  return total / PICTURES;
}

/** Noise that no two calls share: what is in a picture does not matter to a hit, its bytes do. */
function noise(number: number, edge: number): Promise<Buffer> {
  const create = {
    ...{ width: edge, height: edge, channels: 3 as const, background: 'grey' },
    noise: { type: 'gaussian' as const, mean: 100 + number, sigma: 30 },
  };
  return sharp({ create }).jpeg({ quality: 80 }).toBuffer();
}

/** The same kind of server, in the same process, behind the same authority. */
async function serveConstant(world: SchedulerWorld, response: RecognizeResponse) {
  const tls = await createIdentity(world.authority, { role: 'scheduler', region: 'beijing', name: 'constant' });
  const logger = createLogger({ name: 'bench', region: 'beijing', level: 'silent' });
  const { tracer } = startTelemetry({ service: 'bench', region: 'beijing', replica: '2', sampleRatio: 1 });
  const server = new RpcServer({ tls, windowBytes: WINDOW_BYTES, logger, clock: systemClock, tracer });
  const handlers = { ...absentMethods(RecognitionService), recognize: () => Promise.resolve(response) };
  server.addService(RecognitionService, { '*': ['client'] }, handlers);
  return { port: await server.listen('127.0.0.1:0'), close: () => server.close() };
}

async function start(folder: string): Promise<ChildProcess> {
  const load = fork(join(import.meta.dirname, 'cache-load.ts'), [folder, folder], {
    execArgv: ['--disable-warning=ExperimentalWarning', ...SERVICE_NODE_FLAGS],
  });
  await nextMessage(load);
  return load;
}

async function order(load: ChildProcess, what: LoadOrder): Promise<Cost> {
  const before = process.cpuUsage();
  const answer = nextMessage(load);
  load.send(what);
  const cost = (await answer) as LoadCost;
  const { user, system } = process.cpuUsage(before);
  return { ...cost, serverCpuMs: (user + system) / 1000 };
}

async function nextMessage(load: ChildProcess): Promise<unknown> {
  const failed = new AbortController();
  const exited = (code: number | null) => failed.abort(new Error(`the load ended with code ${code}`));
  load.once('exit', exited);
  const [message] = await once(load, 'message', { signal: failed.signal });
  load.off('exit', exited);
  return message;
}

async function compare(load: ChildProcess, hitPort: number, constantPort: number): Promise<Row[]> {
  const hits = (lanes: number) => order(load, { port: hitPort, lanes, forMs: ROUND_MS, wantsCached: true });
  const constants = (lanes: number) => order(load, { port: constantPort, lanes, forMs: ROUND_MS, wantsCached: false });
  await hits(LANES); // compiled and connected before it counts
  await constants(LANES);
  const rounds: { hit: Cost; constant: Cost; hitAlone: Cost; constantAlone: Cost }[] = [];
  for (let round = 0; round < ROUNDS; round++)
    rounds.push({
      ...{ hit: await hits(LANES), constant: await constants(LANES) },
      ...{ hitAlone: await hits(1), constantAlone: await constants(1) },
    });
  const rate = ({ calls, wallMs }: Cost) => (1000 * calls) / wallMs;
  const cpu = ({ calls, serverCpuMs }: Cost) => serverCpuMs / calls;
  const ratios = rounds.map(({ hit, constant }) => rate(hit) / rate(constant));
  const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
  return [
    {
      ...{ metric: 'cache_hits_over_constant_ratio', value: median(ratios), unit: 'ratio', goal: '>= 0.7' },
      peers: { lowest: Math.min(...ratios), highest: Math.max(...ratios) },
    },
    {
      ...{ metric: 'cache_hits_per_second', value: of(({ hit }) => rate(hit)), unit: '1/s', goal: '' },
      peers: { constant: of(({ constant }) => rate(constant)) },
    },
    {
      ...{ metric: 'cache_hit_server_cpu_ms', value: of(({ hit }) => cpu(hit)), unit: 'ms', goal: '' },
      peers: {
        constant: of(({ constant }) => cpu(constant)),
        'constant over hit': of(({ hit, constant }) => cpu(constant) / cpu(hit)),
        'load, a call': of(({ hit }) => hit.cpuMs / hit.calls),
      },
    },
    {
      ...{
        metric: 'cache_hit_p50_ms',
        value: of(({ hitAlone }) => percentile(hitAlone.timesMs, 0.5)),
        unit: 'ms',
        goal: '',
      },
      peers: {
        constant: of(({ constantAlone }) => percentile(constantAlone.timesMs, 0.5)),
        p99: of(({ hitAlone }) => percentile(hitAlone.timesMs, 0.99)),
      },
    },
  ];
}

function encodedBytes({ result }: RecognizeResponse): number {
  return result === undefined ? 0 : toBinary(TaskResultSchema, result).length;
}
