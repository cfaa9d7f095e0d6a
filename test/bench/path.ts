import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVICE_NODE_FLAGS } from '@meridian/local';
import { variations } from '../faults/pictures.ts';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';
import { childrenOf, cpuMsOf } from './process-cpu.ts';
import { median, type Row, report } from './report.ts';

const ROUNDS = Number(process.env.ROUNDS ?? '5');
const PICTURES = 400;
const MODELS = [
  { name: 'centernet-320', metric: 'centernet_cpu_bare_over_total_ratio', goal: '>= 0.8' },
  { name: 'blazeface', metric: 'blazeface_cpu_bare_over_total_ratio', goal: '' },
] as const;

/** Rounds repeat the pictures, and mean the work. */
const NO_CACHE = { MERIDIAN_CACHE_BYTES: '0' };
/** Pictures over one RecognizeStream, as a client with many sends them; or a Recognize call for each. */
const METHODS = ['stream', 'calls'] as const;

interface Cost {
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** CPU milliseconds by process; `load` is the load generator. */
type CpuByProcess = Readonly<Record<string, number>>;

interface WholeCost extends Cost {
  readonly parts: CpuByProcess;
}

/**
 * CPU of the bare loop ÷ CPU of the whole path: every process of one region, children, broker and load generator, first
 * to last picture, with TLS and default tracing. Interleaved rounds; the median of their ratios. The pictures go over one
 * RecognizeStream; what they cost as calls of their own is measured beside it.
 */
export async function path(): Promise<boolean> {
  const startedAt = new Date();
  const folder = await mkdtemp(join(tmpdir(), 'meridian-bench-'));
  const running = await startLocalSystem({ regions: ['beijing'], environment: NO_CACHE });
  try {
    const photographs = running.provisioned.samples.map((sample) => sample.path);
    const pictures = await variations(photographs, PICTURES, 5, 1000, { min: 50_000, max: 200_000 });
    await Promise.all(pictures.map(({ bytes }, i) => writeFile(join(folder, `${i}.jpg`), bytes)));
    const meanBytes = pictures.reduce((sum, { bytes }) => sum + bytes.length, 0) / pictures.length;
    process.stdout.write(`${PICTURES} JPEGs of ${Math.round(meanBytes / 1000)} KB on average, ${ROUNDS} rounds each\n`);
    const rows: Row[] = [];
    for (const model of MODELS) rows.push(...(await compare(running, folder, model)));
    return await report('path', startedAt, rows);
  } finally {
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function compare(running: RunningSystem, folder: string, model: (typeof MODELS)[number]): Promise<Row[]> {
  const { paths } = running.system;
  const bare = await start('bare.ts', [paths.models, model.name, folder], []);
  const certificates = join(paths.certificates, 'client');
  const load = await start(
    'load.ts',
    [certificates, running.system.schedulerAddress('beijing'), model.name, folder],
    SERVICE_NODE_FLAGS,
  );
  try {
    await roundOf(bare);
    for (const method of METHODS) await wholeRound(running, load, method);
    const costs: { bare: Cost; whole: WholeCost; calls: WholeCost }[] = [];
    for (let round = 0; round < ROUNDS; round++)
      costs.push({
        bare: await roundOf(bare),
        whole: await wholeRound(running, load, 'stream'),
        calls: await wholeRound(running, load, 'calls'),
      });
    const ratios = costs.map(({ bare: { cpuMs }, whole }) => cpuMs / whole.cpuMs);
    const each = (pick: (cost: (typeof costs)[number]) => number): number => median(costs.map(pick)) / PICTURES;
    const names = Object.keys(costs[0]?.whole.parts ?? {});
    const parts = Object.fromEntries(names.map((name) => [name, each((cost) => cost.whole.parts[name] ?? 0)]));
    const prefix = model.metric.replace('_cpu_bare_over_total_ratio', '');
    return [
      {
        metric: model.metric,
        value: median(ratios),
        unit: 'ratio',
        goal: model.goal,
        peers: { lowest: Math.min(...ratios), highest: Math.max(...ratios) },
      },
      {
        metric: `${prefix}_cpu_per_picture_ms`,
        value: each((cost) => cost.whole.cpuMs),
        unit: 'ms',
        goal: '',
        peers: { bare: each((cost) => cost.bare.cpuMs), ...parts },
      },
      {
        metric: `${prefix}_calls_cpu_bare_over_total_ratio`,
        value: median(costs.map(({ bare: { cpuMs }, calls }) => cpuMs / calls.cpuMs)),
        unit: 'ratio',
        goal: '',
        peers: {},
      },
      {
        metric: `${prefix}_wall_per_picture_ms`,
        value: each((cost) => cost.whole.wallMs),
        unit: 'ms',
        goal: '',
        peers: { bare: each((cost) => cost.bare.wallMs) },
      },
    ];
  } finally {
    await Promise.all([bare, load].map(ended));
  }
}

/** Both sides of the comparison are processes of their own, which answer each message with what a round has cost. */
async function start(script: string, args: readonly string[], flags: readonly string[]): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, script), [...args, String(PICTURES)], {
    execArgv: ['--disable-warning=ExperimentalWarning', ...flags],
  });
  const failed = new AbortController();
  child.once('exit', (code) => failed.abort(new Error(`${script} ended with code ${code}`)));
  await once(child, 'message', { signal: failed.signal });
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function roundOf(child: ChildProcess, order: object = {}): Promise<Cost> {
  const failed = new AbortController();
  const exited = () => failed.abort(new Error('the process of a round has ended'));
  child.once('exit', exited);
  const answer = once(child, 'message', { signal: failed.signal });
  child.send(order);
  const [cost] = await answer;
  child.off('exit', exited);
  return cost;
}

async function wholeRound(
  running: RunningSystem,
  load: ChildProcess,
  method: (typeof METHODS)[number],
): Promise<WholeCost> {
  const before = await cpuByProcess(running);
  const cost = await roundOf(load, { method });
  const after = await cpuByProcess(running);
  const parts = {
    ...Object.fromEntries(Object.entries(after).map(([name, cpuMs]) => [name, cpuMs - (before[name] ?? 0)])),
    load: cost.cpuMs,
  };
  return { cpuMs: Object.values(parts).reduce((sum, cpuMs) => sum + cpuMs, 0), wallMs: cost.wallMs, parts };
}

/** Every process of the region, the inference child apart from its worker. */
async function cpuByProcess(running: RunningSystem): Promise<CpuByProcess> {
  const parts: Record<string, number> = {};
  for (const { spec, pid } of running.system.region('beijing').processes) {
    if (pid === undefined) continue;
    const children = await childrenOf(pid);
    const childrenMs = await cpuMsOf(children);
    const name = spec.name.slice('beijing/'.length).replace('inference-', '');
    parts[name] = (await cpuMsOf([pid])) - childrenMs;
    if (children.length > 0) parts.child = childrenMs;
  }
  return parts;
}
