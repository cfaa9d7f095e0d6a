import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { RecognitionService, type TaskResult } from '@meridian/contracts/recognition';
import { type AliasView, RollService, RollState } from '@meridian/contracts/roll';
import { StateService } from '@meridian/contracts/state';
import { parseManifest } from '@meridian/models';
import { createClient, type RpcClient } from '@meridian/rpc';
import { parse, stringify } from 'yaml';
import { type RunningSystem, repository, startLocalSystem } from '../support/local-system.ts';

/**
 * Goal: an alias and its rolls as an operator has them: the command line, real models, real tasks as evidence.
 * Method: two regions with their links; CenterNet at 320 and 512 pixels, and the first with its labels shifted by one.
 */
const START_MS = 120_000;
let running: RunningSystem;
let door: RpcClient<typeof RecognitionService>;
let photo: Buffer;
let digests: ReadonlyMap<string, string>;

beforeAll(async () => {
  running = await startLocalSystem({ regions: ['beijing', 'shanghai'] });
  door = createClient(RecognitionService, await running.channel('beijing'));
  photo = await readFile(photograph());
  const { models } = await createClient(StateService, await running.syncChannel('beijing')).listModels({});
  digests = new Map(models.map(({ name, modelDigest }) => [name, modelDigest]));
}, START_MS);

afterAll(() => running?.stop(), START_MS);

const photograph = () => running.provisioned.samples.find(({ file }) => file.startsWith('astronaut'))?.path ?? '';

async function meridian(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const command = ['packages/cli/src/main.ts', '--state', running.stateRoot, ...args];
  const child = spawn(process.execPath, command, { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (chunk) => (texts.out += chunk));
  child.stderr.on('data', (chunk) => (texts.err += chunk));
  const [code] = await once(child, 'close');
  return { code, ...texts };
}

/** Of every answer: it names the version that its model has. */
async function recognize(client = door): Promise<TaskResult> {
  const { result } = await client.recognize({ picture: photo, model: 'detector' }, { timeoutMs: 60_000 });
  if (result === undefined) throw new Error('no result');
  expect(result.modelDigest).toBe(digests.get(result.model));
  return result;
}

/** Schedulers follow their sync services, some milliseconds behind. */
async function uses(model: string, ...doors: (typeof door)[]): Promise<void> {
  for (const client of doors) while ((await recognize(client)).model !== model);
}

async function viewAt(region: string): Promise<AliasView> {
  const { alias } = await createClient(RollService, await running.syncChannel(region)).getRoll({ alias: 'detector' });
  if (alias === undefined) throw new Error('no alias');
  return alias;
}

/** CenterNet with its labels shifted by one and a golden picture. It loads and runs as well as the right one. */
async function shiftedModel(): Promise<readonly string[]> {
  const { models } = running.system.paths;
  const right = parseManifest(parse(await readFile(join(models, 'centernet-320', 'manifest.yaml'), 'utf8')));
  const labels = [...right.labels.slice(1), ...right.labels.slice(0, 1)];
  const golden = [{ file: 'astronaut.png', expect: [{ label: 'person' }] }];
  const manifest = join(running.stateRoot, 'shifted.yaml');
  await writeFile(manifest, stringify({ ...right, name: 'shifted', labels, golden }));
  await copyFile(photograph(), join(running.stateRoot, 'astronaut.png'));
  const weights = (right.parts.model?.digest ?? '').replace('sha256:', '');
  return [join(models, 'blobs', weights), '--manifest', manifest];
}

describe('an alias', () => {
  test('is made with one command, and used where a model is named', async () => {
    const made = await meridian('models', 'alias', 'detector', 'centernet-320', '-r', 'beijing');
    expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/^detector +centernet-320 [0-9a-f]{12}$/m) });
    const seen = await meridian('recognize', photograph(), '--model', 'detector', '-r', 'beijing');
    expect(seen.out).toMatch(/person +\d\d %/);
    const taken = await meridian('models', 'alias', 'centernet-320', 'centernet-512', '-r', 'beijing');
    expect(taken).toMatchObject({ code: 1, err: expect.stringContaining('is the name of a model') });
    expect((await recognize()).model).toBe('centernet-320');
  });
});

describe('the door', () => {
  test('lets clients look, operators change, and only the region’s own schedulers report', async () => {
    const clientOf = async (identity: string) =>
      createClient(RollService, await running.syncChannel('beijing', identity));
    const denied = { code: 'PERMISSION_DENIED' };
    const client = await clientOf('client');
    expect((await client.listAliases({})).aliases).toHaveLength(1);
    await expect(client.startRoll({ alias: 'detector', model: 'blazeface' })).rejects.toMatchObject(denied);
    await expect(client.rollBack({ alias: 'detector' })).rejects.toMatchObject(denied);
    await expect(client.createAlias({ alias: 'other', model: 'blazeface' })).rejects.toMatchObject(denied);
    const report = { alias: 'detector', rollId: '00000000000000aa', reporter: '1' };
    await expect((await clientOf('operator')).reportEvidence(report)).rejects.toMatchObject(denied);
    await expect((await clientOf('shanghai/scheduler')).reportEvidence(report)).rejects.toMatchObject(denied);
    const own = await clientOf('beijing/scheduler');
    await own.reportEvidence(report);
    await expect(own.reportEvidence({ ...report, rollId: 'x' })).rejects.toMatchObject({ reason: 'ROLL_ID_INVALID' });
  });
});

describe('a roll', () => {
  test('to a model that loads but answers wrongly fails by its golden picture, and no task meets it', async () => {
    await meridian('models', 'add', ...(await shiftedModel()), '-r', 'beijing', '--detach');
    const order = ['--waves', 'beijing;shanghai', '--skip-traffic-gate', '-r', 'beijing'];
    const roll = await meridian('models', 'roll', 'detector', '--to', 'shifted', ...order, '--watch');
    expect(roll).toMatchObject({ code: 0, err: '' });
    expect(roll.out).toMatch(/shifted [0-9a-f]{12}, begun in beijing at .*: failed, all regions are back/);
    expect(roll.out).toMatch(/beijing +1 +failed +centernet-320 .*golden picture astronaut\.png: expected person/);
    expect((await recognize()).model).toBe('centernet-320');
  });

  test('to a model that is slower than the gate allows goes back, by what real tasks took', async () => {
    for (let i = 0; i < 25; i++) await recognize();
    const gate = ['--p95-factor', '1.2', '--gate-tasks', '20', '--waves', 'beijing;shanghai', '-r', 'beijing'];
    expect(await meridian('models', 'roll', 'detector', '--to', 'centernet-512', ...gate)).toMatchObject({ code: 0 });
    const used = new Set<string>();
    while ((await viewAt('beijing')).state === RollState.UNDER_WAY) used.add((await recognize()).model);
    expect(used).toEqual(new Set(['centernet-320', 'centernet-512']));
    const status = await meridian('models', 'roll', 'detector', '--status', '-r', 'beijing');
    expect(status.out).toMatch(/beijing +1 +failed +centernet-320 .*95 % of \d+ inferences took up to/);
    expect(status.out).toMatch(/shanghai +2 +waits +centernet-320/);
    await uses('centernet-320', door);
  });

  test('that passes ends with the new model in both regions; --back takes both to the old one', async () => {
    const to = ['--to', 'centernet-512', '--skip-traffic-gate'];
    const roll = await meridian('models', 'roll', 'detector', ...to, '--watch', '-r', 'shanghai');
    expect(roll).toMatchObject({ code: 0, out: expect.stringMatching(/: complete$/m) });
    const there = createClient(RecognitionService, await running.channel('shanghai'));
    while ((await viewAt('beijing')).state === RollState.UNDER_WAY);
    await uses('centernet-512', door, there);
    const back = await meridian('models', 'roll', 'detector', '--back', '-r', 'beijing');
    expect(back).toMatchObject({ code: 0, out: expect.stringMatching(/^detector: centernet-320/) });
    while ((await viewAt('shanghai')).state !== RollState.SETTLED);
    await uses('centernet-320', door, there);
    const again = await meridian('models', 'roll', 'detector', '--back', '-r', 'beijing');
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining('no roll is known here') });
  });
});
