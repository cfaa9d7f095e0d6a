import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { ensureCertificates, type Installation } from '@meridian/certificates';
import { JobSchema, JobState, RecognitionService } from '@meridian/contracts/recognition';
import { RegionHealth, RegionService } from '@meridian/contracts/region';
import { StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { loadTls, RpcServer, type ServiceHandlers } from '@meridian/rpc';
import { createLogger, startTelemetry, systemClock } from '@meridian/runtime';
import { parseTopology } from '@meridian/topology';
import sharp from 'sharp';
import { absentMethods } from '../support/absent-methods.ts';

/**
 * Goal: what users type works over real sockets with real certificates, and survives a door that goes away.
 * Method: the command line as a process; a door with canned answers in the place of scheduler and sync.
 */
// Every command is a process of its own, and a busy machine starts one in seconds.
jest.setTimeout(90_000);

const repository = resolve(import.meta.dirname, '..', '..');
const telemetry = startTelemetry({ service: 'test', region: 'beijing', replica: '1', sampleRatio: 0 });
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
let state: string;
let installation: Installation;
let picture: string;

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'meridian-cli-'));
  await mkdir(join(state, 'run'));
  await mkdir(join(state, 'pictures'));
  const topology = parseTopology(await readFile(join(repository, 'regions.yaml'), 'utf8'));
  const directory = join(state, 'certificates');
  installation = await ensureCertificates({ directory, topology, clockMs: Date.now() });
  picture = join(state, 'pictures', 'grey.png');
  await sharp({ create: { width: 64, height: 32, channels: 3, background: '#888' } })
    .png()
    .toFile(picture);
  await writeFile(join(state, 'pictures', 'other.jpg'), 'not really a picture');
});
afterAll(() => rm(state, { recursive: true }));

const recognition = {
  width: 64,
  height: 32,
  objects: [{ label: 'cat', score: 0.87, box: { x0: 0, y0: 0, x1: 0.5, y1: 1 } }],
};
const timings = { queueMs: 1, transferMs: 2, decodeMs: 3, inferenceMs: 4, returnMs: 5, totalMs: 15 };
const result = (index: number, region = 'shanghai') => ({
  ...{
    taskId: `t${index}`,
    jobId: 'beijing-1',
    index,
    pictureName: `p${index}`,
    entryRegion: 'beijing',
    region,
    worker: 'w1',
  },
  ...{ attempts: 1, timings, outcome: { case: 'recognition' as const, value: recognition } },
});
const job = create(JobSchema, {
  jobId: 'beijing-1',
  state: JobState.FINISHED,
  tasks: 2,
  succeeded: 2,
  acceptedUnixMs: 1_000n,
  finishedUnixMs: 3_000n,
  model: 'm',
});

/** Answers as a healthy region would; each test replaces what it is about. */
function recognitionHandlers(): ServiceHandlers<typeof RecognitionService> {
  return {
    recognize: async () => ({ result: result(0), versionVector: 'beijing@1=1' }),
    recognizeStream: () => refuse(),
    submitJob: async (parts) => {
      for await (const _ of parts);
      return { jobId: job.jobId, accepted: true };
    },
    getJob: async () => ({ job }),
    listJobs: async () => ({ jobs: [job] }),
    watchJob: async function* (request) {
      for (let i = Number(request.cursor); i < 2; i++)
        yield { cursor: BigInt(i + 1), update: { case: 'result', value: result(i) } };
      yield { cursor: 2n, update: { case: 'job', value: job } };
    },
    cancelJob: async () => ({ job: { ...job, state: JobState.CANCELLED } }),
  };
}

function refuse(): AsyncGenerator<never> {
  throw new Failure('FAILED_PRECONDITION', 'not part of this test');
}

const digest = `sha256:${'ab'.repeat(32)}`;
const regionHandlers: ServiceHandlers<typeof RegionService> = {
  listRegions: async () => ({
    region: 'beijing',
    regions: [
      { name: 'beijing', health: RegionHealth.UP, capacity: 1, workers: 1, modelDigests: [digest] },
      { name: 'shanghai', health: RegionHealth.DOWN, roundTripMs: 50.4 },
    ],
  }),
  getTrace: async () => ({
    spans: [{ name: 'task', service: 'scheduler', region: 'beijing', spanId: 'a', startUnixMs: 1, durationMs: 20 }],
    unreachableRegions: ['guangzhou'],
  }),
};

/** A region that is not up. */
const away = { scheduler: '127.0.0.1:1', sync: '127.0.0.1:1', nats: 'tls://127.0.0.1:1' };

const doors: RpcServer[] = [];
let handlers: ServiceHandlers<typeof RecognitionService>;
let problem: string;
/** What was asked to be removed. */
let removed: [name: string, force: boolean, role: string][];
/** Questions for models after which shanghai can run it, too. */
let untilShanghai: number;
let added: { manifest: string; bytes: number; role: string };

async function openDoor(role: 'scheduler' | 'sync', listen = '127.0.0.1:0'): Promise<number> {
  const directory = installation.regions.beijing?.certificates[role] ?? '';
  const server = new RpcServer({
    tls: loadTls(directory),
    windowBytes: 2 ** 20,
    logger,
    clock: systemClock,
    tracer: telemetry.tracer,
  });
  const everybody = { '*': ['client', 'operator'] } as const;
  if (role === 'scheduler') {
    server.addService(RecognitionService, everybody, handlers);
    server.addService(RegionService, everybody, regionHandlers);
  } else {
    const allow = { listModels: ['client', 'operator'], addModel: ['operator'], removeModel: ['operator'] } as const;
    server.addService(StateService, allow, stateHandlers());
  }
  doors.push(server);
  return server.listen(listen);
}

function stateHandlers(): ServiceHandlers<typeof StateService> {
  return {
    ...absentMethods(StateService),
    listModels: async () => ({
      models: [
        {
          ...{ name: 'centernet-320', modelDigest: digest, manifest: '{}', problem },
          readyRegions: problem === '' ? ['beijing', ...(--untilShanghai < 0 ? ['shanghai'] : [])] : [],
        },
      ],
      regions: ['beijing', 'shanghai'],
    }),
    addModel: async (parts, { peer }) => {
      added = { manifest: '', bytes: 0, role: peer.role };
      for await (const { part } of parts) {
        if (part.case === 'manifest') added.manifest = part.value;
        if (part.case === 'chunk') added.bytes += part.value.length;
      }
      return { model: 'own', modelDigest: digest };
    },
    removeModel: ({ name, force }, { peer }) => {
      removed.push([name, force, peer.role]);
      return Promise.resolve({});
    },
  };
}

/** Opens both doors and writes where they are, and others. @returns the scheduler's port. */
async function openRegion(others: Readonly<Record<string, typeof away>> = {}): Promise<number> {
  const scheduler = await openDoor('scheduler');
  const sync = await openDoor('sync');
  const regions = {
    beijing: { scheduler: `127.0.0.1:${scheduler}`, sync: `127.0.0.1:${sync}`, nats: 'tls://127.0.0.1:1' },
    ...others,
  };
  const running = { regions, control: join(state, 'run', 'control.sock'), certificates: installation.directory };
  await writeFile(join(state, 'run', 'running.json'), JSON.stringify(running));
  return scheduler;
}

const children: ChildProcess[] = [];
async function meridian(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [join(repository, 'packages/cli/src/main.ts'), '--state', state, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, out, err };
}

beforeEach(() => {
  removed = [];
  problem = '';
  untilShanghai = Number.POSITIVE_INFINITY;
  handlers = recognitionHandlers();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const door of doors.splice(0)) await door.close();
});

describe('recognize', () => {
  test('prints objects, route and times, and draws what it saw', async () => {
    await openRegion();
    const annotated = join(state, 'out.jpg');
    const { code, out } = await meridian('recognize', picture, '--annotate', annotated);
    expect(out).toMatch(
      /grey\.png\n.*\n.*\n {2}cat +87 % +0,0 – 32,32\n {2}entry beijing, ran in shanghai on w1 · 1 attempt · task t0\n {2}15 ms = queue 1 ms/,
    );
    expect(code).toBe(0);
    expect((await sharp(annotated).metadata()).width).toBe(64);
  });

  test('several files: each is answered or named, in order, and the code says that one failed', async () => {
    await openRegion();
    const { code, out, err } = await meridian('recognize', '--json', picture, join(state, 'gone.png'), picture);
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([
      { file: picture, result: { region: 'shanghai', pictureDigest: 'sha256:' }, versionVector: 'beijing@1=1' },
      { error: { code: 'NOT_FOUND' } },
      { result: { recognition: { objects: [{ label: 'cat' }] } } },
    ]);
    expect(JSON.parse(err).error.message).toContain('1 of 3');
    expect(code).toBe(1);
  });

  test('tries again with the same key after UNAVAILABLE, and shows a refusal in one line', async () => {
    const keys: string[] = [];
    handlers = {
      ...handlers,
      recognize: async ({ idempotencyKey, model }) => {
        keys.push(idempotencyKey);
        if (model === 'nope') throw new Failure('NOT_FOUND', 'there is no model nope', { reason: 'MODEL_UNKNOWN' });
        if (keys.length === 1) throw new Failure('UNAVAILABLE', 'restarting');
        return { result: result(0) };
      },
    };
    await openRegion();
    expect((await meridian('recognize', picture)).code).toBe(0);
    expect(new Set(keys).size).toBe(1);
    expect(keys).toHaveLength(2);
    expect(await meridian('recognize', picture, '--model', 'nope')).toEqual({
      code: 1,
      out: '',
      err: 'meridian: there is no model nope\n',
    });
  });
});

describe('jobs', () => {
  test('every region’s jobs are listed, and who did not answer; one job is asked for where its id says', async () => {
    await openRegion({ shanghai: away });
    const listed = await meridian('jobs', 'list');
    expect(listed.out).toMatch(/beijing-1 +finished/);
    expect(listed.err).toMatch(/^without its jobs: region shanghai at 127\.0\.0\.1:1: .*\n$/);
    expect((await meridian('jobs', 'show', 'beijing-1')).code).toBe(0);
    expect((await meridian('jobs', 'show', 'shanghai-1')).err).toMatch(/^meridian: region shanghai at/);
  });

  test('pictures without a recognition and a cancelled job end with 1; what cannot be written is said first', async () => {
    let submitted = 0;
    let end: Partial<typeof job> = {};
    handlers = {
      ...handlers,
      submitJob: async (parts) => {
        for await (const _ of parts);
        submitted++;
        return { jobId: job.jobId, accepted: true };
      },
      watchJob: async function* () {
        yield { cursor: 1n, update: { case: 'job', value: { ...job, ...end } } };
      },
    };
    await openRegion();
    const ends: [end: Partial<typeof job>, problem: string][] = [
      [{ failed: 1 }, '1 of 2 pictures have no recognition; see above'],
      [{ state: JobState.CANCELLED }, 'job beijing-1 was cancelled'],
    ];
    for (const [next, problem] of ends) {
      end = next;
      const { code, err } = await meridian('jobs', 'watch', 'beijing-1');
      expect([code, err]).toEqual([1, `meridian: ${problem}\n`]);
    }
    const output = join(state, 'no', 'results.jsonl');
    const { code, err } = await meridian('jobs', 'submit', picture, '-o', output);
    expect([code, err]).toEqual([1, `meridian: cannot write ${output}: there is no such file or folder\n`]);
    expect(submitted).toBe(0);
  });

  test('submit sends the folder, waits, writes each result once and sums up', async () => {
    await openRegion();
    const output = join(state, 'results.jsonl');
    const { code, out, err } = await meridian('jobs', 'submit', join(state, 'pictures'), '-o', output);
    expect(err).toBe('job beijing-1: 2 pictures accepted in beijing\n');
    expect(out).toMatch(
      /^job beijing-1 finished: 2 of 2 recognised, 0 failed in 2,000 ms, 1 pictures\/s\n[\s\S]*shanghai +2 +15 ms/,
    );
    expect(code).toBe(0);
    const lines = (await readFile(output, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { cursor: '1', result: { index: 0 } },
      { cursor: '2', result: { index: 1 } },
    ]);
  });

  test('a door that goes away in the middle of upload and watch costs nothing but time', async () => {
    const seen: (string | bigint)[] = [];
    const lose = new Set(['submit', 'watch']);
    let port = 0;
    let scheduler: RpcServer | undefined;
    const restart = async () => {
      await scheduler?.close();
      await openDoor('scheduler', `127.0.0.1:${port}`);
      scheduler = doors.at(-1);
    };
    const hold = () => new Promise<never>(() => undefined);
    handlers = {
      ...handlers,
      submitJob: async (parts) => {
        let pictures = 0;
        for await (const { part } of parts) if (part.case === 'picture') pictures++;
        seen.push(`submit ${pictures}`);
        if (!lose.delete('submit')) return { jobId: job.jobId, accepted: true };
        void restart();
        return hold();
      },
      watchJob: async function* (request) {
        seen.push(request.cursor);
        yield { cursor: request.cursor + 1n, update: { case: 'result', value: result(Number(request.cursor)) } };
        if (lose.delete('watch')) {
          void restart();
          await hold();
        }
        yield { cursor: 2n, update: { case: 'job', value: job } };
      },
    };
    port = await openRegion();
    scheduler = doors[0];
    const { code, out, err } = await meridian(
      'jobs',
      'submit',
      join(state, 'pictures'),
      '--json',
      '--region',
      'beijing',
    );
    expect(code).toBe(0);
    expect(seen).toEqual(['submit 2', 'submit 0', 0n, 1n]);
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([{ result: { index: 0 } }, { result: { index: 1 } }, { job: { jobId: 'beijing-1' } }]);
    expect(err).toMatch(/trying again in/);
  });

  test('list, show, cancel, watch after a cursor, and submit without waiting', async () => {
    await openRegion();
    expect((await meridian('jobs', 'list')).out).toMatch(/beijing-1 +finished +2/);
    expect(JSON.parse((await meridian('jobs', 'show', 'beijing-1', '--json')).out)).toMatchObject({
      job: { tasks: 2 },
    });
    expect((await meridian('jobs', 'cancel', 'beijing-1')).out).toContain('cancelled');
    const watched = await meridian('jobs', 'watch', 'beijing-1', '--cursor', '1', '--json');
    expect(watched.out.trim().split('\n')).toHaveLength(2);
    expect((await meridian('jobs', 'submit', picture, '--detach')).out).toBe('beijing-1\n');
  });
});

describe('models, regions, trace', () => {
  test('models are listed, and added as the operator', async () => {
    await openRegion();
    expect((await meridian('models', 'list')).out).toMatch(/centernet-320 +abababababab .* beijing/);
    const manifest = join(state, 'manifest.json');
    const input = { name: 'in', width: 32, height: 32, fit: 'stretch', layout: 'NCHW', type: 'uint8' };
    const value = {
      name: 'own',
      licence: 'MIT',
      source: 'x',
      task: 'detection',
      labels: [],
      parts: { model: { input } },
    };
    await writeFile(manifest, JSON.stringify({ ...value, decoder: { kind: 'rows', output: 'o' } }));
    const weights = join(state, 'own.onnx');
    await writeFile(weights, 'weights');
    const { code, out } = await meridian('models', 'add', weights, '--manifest', manifest);
    const later = '; not yet in shanghai, see `./meridian models list`';
    expect([code, out]).toEqual([0, `own abababababab can be run in beijing${later}\n`]);
    expect(added).toMatchObject({ bytes: 7, role: 'operator', manifest: expect.stringContaining('"file":"own.onnx"') });
    problem = 'the manifest names input x, the model has y';
    expect((await meridian('models', 'list')).out).toMatch(
      /^beijing cannot run centernet-320: the manifest names input x/m,
    );
    const refused = await meridian('models', 'add', weights, '--manifest', manifest);
    expect([refused.code, refused.out]).toEqual([1, '']);
    expect(refused.err).toContain(`meridian: own is in the catalogue, but beijing cannot run it: ${problem}\n`);
    const detached = await meridian('models', 'add', weights, '--manifest', manifest, '--detach');
    expect([detached.code, detached.err]).toEqual([0, '']);
    problem = '';
    untilShanghai = 2;
    const everywhere = await meridian('models', 'add', weights, '--manifest', manifest, '--everywhere');
    expect(everywhere.out).toBe('own abababababab can be run in beijing, shanghai\n');
    expect(untilShanghai).toBe(-1);
    const both = await meridian('models', 'add', weights, '--manifest', manifest, '--everywhere', '--detach');
    expect(both.err).toMatch(/--everywhere.*cannot be used with.*--detach/);
  });

  test('a model is removed as the operator, by force when it is the default', async () => {
    await openRegion();
    expect((await meridian('models', 'remove', 'own')).out).toBe('own is not in the catalogue any more\n');
    expect((await meridian('models', 'remove', 'centernet-320', '--force')).code).toBe(0);
    expect(removed).toEqual([
      ['own', false, 'operator'],
      ['centernet-320', true, 'operator'],
    ]);
  });

  test('regions show health and model names; a trace shows its waterfall and who could not be asked', async () => {
    await openRegion();
    const regions = (await meridian('regions')).out;
    expect(regions).toMatch(/beijing +up .* centernet-320\nshanghai +down +50\.4 ms/);
    const trace = await meridian('trace', 't1');
    expect(trace.out).toMatch(/scheduler +beijing +task +█{40} +20 ms/);
    expect(trace.err).toContain('guangzhou');
  });
});

describe('what goes wrong is said in one line with what to do', () => {
  test('a region that does not answer, a wrong name, a door that is somebody else’s, no local run', async () => {
    const port = await openRegion();
    await doors.shift()?.close();
    const down = await meridian('jobs', 'list', '--region', 'beijing');
    expect(down).toMatchObject({ code: 1, out: '' });
    expect(down.err).toMatch(/^meridian: region beijing at 127\.0\.0\.1:\d+: .*see `\.\/meridian regions`.*\n$/);
    expect((await meridian('jobs', 'list', '--region', 'tokyo')).err).toMatch(/"tokyo"; the regions are beijing\n$/);
    await openDoor('sync', `127.0.0.1:${port}`);
    expect((await meridian('jobs', 'list', '--region', 'beijing')).code).toBe(1);
    expect((await meridian('chaos', 'cut', 'beijing', 'shanghai')).err).toMatch(/make run/);
  });

  test('files and addresses', async () => {
    const gif = new Failure('INVALID_ARGUMENT', 'the picture is GIF', { reason: 'PICTURE_FORMAT' });
    handlers = { ...handlers, recognize: () => Promise.reject(gif) };
    await openRegion();
    const table: [args: string[], problem: string][] = [
      [['recognize', state], `${state} is a folder: \`jobs submit\` takes folders`],
      [['recognize', picture], `${picture}: the picture is GIF`],
      [
        ['recognize', picture, '--annotate', join(state, 'no', 'out.jpg')],
        `cannot write ${join(state, 'no', 'out.jpg')}: there is no such file or folder`,
      ],
      [['recognize', join(state, 'gone')], `cannot read ${join(state, 'gone')}: there is no such file or folder`],
      [
        ['jobs', 'list', '--certificates', '/nowhere'],
        'no ca.pem, cert.pem and key.pem in /nowhere/client: is --certificates right?',
      ],
      [
        ['regions', '--address', '127.0.0.1:1', '--certificates', installation.directory],
        'nothing answers at 127.0.0.1:1: is the address right?',
      ],
      [
        ['regions', '--address', 'nonsense', '--certificates', installation.directory],
        '--address: expected host:port, got "nonsense"',
      ],
    ];
    const answers = await Promise.all(table.map(([args]) => meridian(...args)));
    expect(answers).toEqual(table.map(([, problem]) => ({ code: 1, out: '', err: `meridian: ${problem}\n` })));
  });

  test('what times out is placed once, and Ctrl-C needs no words', async () => {
    let asked = (): void => undefined;
    handlers = {
      ...handlers,
      recognize: () => {
        asked();
        return new Promise(() => undefined);
      },
    };
    await openRegion();
    const late = await meridian('recognize', picture, '--region', 'beijing', '--timeout-ms', '200');
    expect(late).toMatchObject({ code: 1, out: '' });
    expect(late.err).toMatch(
      /^meridian: region beijing at [\d.:]+: the deadline passed [^:]*: see `\.\/meridian regions`\n$/,
    );
    const waiting = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const stopped = meridian('recognize', picture);
    await waiting;
    children.at(-1)?.kill('SIGINT');
    expect(await stopped).toEqual({ code: 130, out: '', err: '' });
  });

  test('wrong usage ends with 2', async () => {
    const wrong = [
      ['jobs', 'list', '--limit', '0'],
      ['events', '--since', 'yesterday'],
      ['nonsense'],
      ['jobs', 'submit', picture, '--detach', '-o', 'x'],
    ];
    const answers = await Promise.all(wrong.map((args) => meridian(...args)));
    expect(answers.map(({ code }) => code)).toEqual([2, 2, 2, 2]);
  });
});
