import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { CliWorld } from '../support/cli-world.ts';

/**
 * Goal: models, regions and traces are shown and changed from the command line.
 * Method: the command line as a process, real sockets and certificates; a door with canned answers in the place of scheduler
 * and sync.
 */
// Every command is a process of its own, and a busy machine starts one in seconds.
jest.setTimeout(90_000);

let world: CliWorld;

beforeAll(async () => {
  world = await CliWorld.prepare();
});
afterAll(() => world.remove());
beforeEach(() => world.reset());
afterEach(() => world.close());

describe('models, regions, trace', () => {
  test('models are listed, and added as the operator', async () => {
    await world.open();
    expect((await world.meridian('models', 'list')).out).toMatch(/centernet-320 +abababababab .* beijing/);
    const manifest = join(world.state, 'manifest.json');
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
    const weights = join(world.state, 'own.onnx');
    await writeFile(weights, 'weights');
    const { code, out } = await world.meridian('models', 'add', weights, '--manifest', manifest);
    const later = '; not yet in shanghai, see `./meridian models list`';
    expect([code, out]).toEqual([0, `own abababababab can be run in beijing${later}\n`]);
    expect(world.added).toMatchObject({
      bytes: 7,
      role: 'operator',
      manifest: expect.stringContaining('"file":"own.onnx"'),
    });
    world.problem = 'the manifest names input x, the model has y';
    expect((await world.meridian('models', 'list')).out).toMatch(
      /^beijing cannot run centernet-320: the manifest names input x/m,
    );
    const refused = await world.meridian('models', 'add', weights, '--manifest', manifest);
    expect([refused.code, refused.out]).toEqual([1, '']);
    expect(refused.err).toContain(`meridian: own is in the catalogue, but beijing cannot run it: ${world.problem}\n`);
    const detached = await world.meridian('models', 'add', weights, '--manifest', manifest, '--detach');
    expect([detached.code, detached.err]).toEqual([0, '']);
    world.problem = '';
    world.untilShanghai = 2;
    const everywhere = await world.meridian('models', 'add', weights, '--manifest', manifest, '--everywhere');
    expect(everywhere.out).toBe('own abababababab can be run in beijing, shanghai\n');
    expect(world.untilShanghai).toBe(-1);
    const both = await world.meridian('models', 'add', weights, '--manifest', manifest, '--everywhere', '--detach');
    expect(both.err).toMatch(/--everywhere.*cannot be used with.*--detach/);
  });

  test('a model is removed as the operator, by force when it is the default', async () => {
    await world.open();
    expect((await world.meridian('models', 'remove', 'own')).out).toBe('own is not in the catalogue any more\n');
    expect((await world.meridian('models', 'remove', 'centernet-320', '--force')).code).toBe(0);
    expect(world.removed).toEqual([
      ['own', false, 'operator'],
      ['centernet-320', true, 'operator'],
    ]);
  });

  test('regions show health and model names; a trace shows its waterfall and who could not be asked', async () => {
    await world.open();
    const regions = (await world.meridian('regions')).out;
    expect(regions).toMatch(/beijing +up .* centernet-320\nshanghai +down +50\.4 ms/);
    const trace = await world.meridian('trace', 't1');
    expect(trace.out).toMatch(/scheduler +beijing +task +█{40} +20 ms/);
    expect(trace.err).toContain('guangzhou');
    const explained = await world.meridian('explain', 'beijing-1');
    expect(explained.out).toMatch(/→ +shanghai +50 ms +1 ms +30 ms +0 ms +0 ms +81 ms/);
    expect(explained.out).toContain('shanghai won: 79 ms less than beijing, the next one');
    const asJson = await world.meridian('--json', 'explain', 'beijing-1');
    expect(JSON.parse(asJson.out)).toMatchObject({ taskId: 'beijing-1', decisions: [{ winner: 'shanghai' }] });
  });
});
