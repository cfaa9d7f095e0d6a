import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import sharp from 'sharp';
import { result } from '../support/canned-answers.ts';
import { CliWorld } from '../support/cli-world.ts';

/**
 * Goal: pictures from the command line are answered, or it says why not.
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

describe('recognize', () => {
  test('prints objects, route and times, and draws what it saw', async () => {
    await world.open();
    const annotated = join(world.state, 'out.jpg');
    const { code, out } = await world.meridian('recognize', world.picture, '--annotate', annotated);
    expect(out).toMatch(
      /grey\.png\n.*\n.*\n {2}cat +87 % +0,0 – 32,32\n {2}entry beijing, ran in shanghai on w1 · 1 attempt · task t0\n {2}15 ms = queue 1 ms/,
    );
    expect(code).toBe(0);
    expect((await sharp(await readFile(annotated)).metadata()).width).toBe(64);
  });

  test('several files: each is answered or named, in order, and the code says that one failed', async () => {
    await world.open();
    const { code, out, err } = await world.meridian(
      'recognize',
      '--json',
      world.picture,
      join(world.state, 'gone.png'),
      world.picture,
    );
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([
      { file: world.picture, result: { region: 'shanghai', pictureDigest: 'sha256:' }, versionVector: 'beijing@1=1' },
      { error: { code: 'NOT_FOUND' } },
      { result: { recognition: { objects: [{ label: 'cat' }] } } },
    ]);
    expect(JSON.parse(err).error.message).toContain('1 of 3');
    expect(code).toBe(1);
  });

  test('says of an answer that it is remembered, and asks for a new one with --no-cache', async () => {
    const fromCache = { taskId: 'beijing-1-1-7', versionVector: 'beijing@1=1', computedUnixMs: 1_000n };
    world.handlers = {
      ...world.handlers,
      recognize: async ({ noCache }) => ({ result: { ...result(0), ...(!noCache && { fromCache }) } }),
    };
    await world.open();
    const { out } = await world.meridian('recognize', world.picture);
    expect(out).toMatch(
      /\n {2}cached: answer of task beijing-1-1-7 at 1970-01-01T00:00:01.000Z, state beijing@1=1; --no-cache/,
    );
    const json = await world.meridian('recognize', '--json', world.picture);
    expect(JSON.parse(json.out).result.fromCache).toEqual({ ...fromCache, computedUnixMs: '1000' });
    const anew = await world.meridian('recognize', world.picture, '--no-cache');
    expect([anew.code, anew.out.includes('cached')]).toEqual([0, false]);
  });

  test('asks for tiles', async () => {
    const asked: unknown[] = [];
    const answer = world.handlers.recognize;
    world.handlers = {
      ...world.handlers,
      recognize: async (request, context) => {
        asked.push(request.tiling);
        return answer(request, context);
      },
    };
    await world.open();
    await world.meridian('recognize', world.picture, '--tiles', '9', '--lossy-tiles');
    await world.meridian('recognize', world.picture);
    expect(asked).toMatchObject([{ maxTiles: 9, lossy: true, overlapPercent: 0 }, undefined]);
    const wrong = await world.meridian('recognize', world.picture, '--tiles', '1');
    expect([wrong.code, wrong.err.includes('from 2 to 64')]).toEqual([2, true]);
  });

  test('tries again with the same key after UNAVAILABLE, and shows a refusal in one line', async () => {
    const keys: string[] = [];
    world.handlers = {
      ...world.handlers,
      recognize: async ({ idempotencyKey, model }) => {
        keys.push(idempotencyKey);
        if (model === 'nope') throw new Failure('NOT_FOUND', 'there is no model nope', { reason: 'MODEL_UNKNOWN' });
        if (keys.length === 1) throw new Failure('UNAVAILABLE', 'restarting');
        return { result: result(0) };
      },
    };
    await world.open();
    expect((await world.meridian('recognize', world.picture)).code).toBe(0);
    expect(new Set(keys).size).toBe(1);
    expect(keys).toHaveLength(2);
    expect(await world.meridian('recognize', world.picture, '--model', 'nope')).toEqual({
      code: 1,
      out: '',
      err: 'meridian: there is no model nope\n',
    });
  });
});
