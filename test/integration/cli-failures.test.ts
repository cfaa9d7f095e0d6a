import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { CliWorld } from '../support/cli-world.ts';

/**
 * Goal: what goes wrong at the command line is said in one line with what to do.
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

describe('what goes wrong is said in one line with what to do', () => {
  test('a region that does not answer, a wrong name, a door that is somebody else’s, no local run', async () => {
    const port = await world.open();
    await world.doors.shift()?.close();
    const down = await world.meridian('jobs', 'list', '--region', 'beijing');
    expect(down).toMatchObject({ code: 1, out: '' });
    expect(down.err).toMatch(/^meridian: region beijing at 127\.0\.0\.1:\d+: .*see `\.\/meridian regions`.*\n$/);
    expect((await world.meridian('jobs', 'list', '--region', 'tokyo')).err).toMatch(
      /"tokyo"; the regions are beijing\n$/,
    );
    await world.openDoor('sync', `127.0.0.1:${port}`);
    expect((await world.meridian('jobs', 'list', '--region', 'beijing')).code).toBe(1);
    expect((await world.meridian('chaos', 'cut', 'beijing', 'shanghai')).err).toMatch(/make run/);
  });

  test('files and addresses', async () => {
    const gif = new Failure('INVALID_ARGUMENT', 'the picture is GIF', { reason: 'PICTURE_FORMAT' });
    world.handlers = { ...world.handlers, recognize: () => Promise.reject(gif) };
    await world.open();
    const table: [args: string[], problem: string][] = [
      [['recognize', world.state], `${world.state} is a folder: \`jobs submit\` takes folders`],
      [['recognize', world.picture], `${world.picture}: the picture is GIF`],
      [
        ['recognize', world.picture, '--annotate', join(world.state, 'no', 'out.jpg')],
        `cannot write ${join(world.state, 'no', 'out.jpg')}: there is no such file or folder`,
      ],
      [
        ['recognize', join(world.state, 'gone')],
        `cannot read ${join(world.state, 'gone')}: there is no such file or folder`,
      ],
      [
        ['jobs', 'list', '--certificates', '/nowhere'],
        'no ca.pem, cert.pem and key.pem in /nowhere/client: is --certificates right?',
      ],
      [
        ['regions', '--address', '127.0.0.1:1', '--certificates', world.installation.directory],
        'nothing answers at 127.0.0.1:1: is the address right?',
      ],
      [
        ['regions', '--address', 'nonsense', '--certificates', world.installation.directory],
        '--address: expected host:port, got "nonsense"',
      ],
    ];
    const answers = await Promise.all(table.map(([args]) => world.meridian(...args)));
    expect(answers).toEqual(table.map(([, problem]) => ({ code: 1, out: '', err: `meridian: ${problem}\n` })));
  });

  test('what times out is placed once, and Ctrl-C needs no words', async () => {
    let asked = (): void => undefined;
    world.handlers = {
      ...world.handlers,
      recognize: () => {
        asked();
        return new Promise(() => undefined);
      },
    };
    await world.open();
    const late = await world.meridian('recognize', world.picture, '--region', 'beijing', '--timeout-ms', '200');
    expect(late).toMatchObject({ code: 1, out: '' });
    expect(late.err).toMatch(
      /^meridian: region beijing at [\d.:]+: the deadline passed [^:]*: see `\.\/meridian regions`\n$/,
    );
    const waiting = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const stopped = world.meridian('recognize', world.picture);
    await waiting;
    world.children.at(-1)?.kill('SIGINT');
    expect(await stopped).toEqual({ code: 130, out: '', err: '' });
  });

  test('wrong usage ends with 2', async () => {
    const wrong = [
      ['jobs', 'list', '--limit', '0'],
      ['events', '--since', 'yesterday'],
      ['nonsense'],
      ['jobs', 'submit', world.picture, '--detach', '-o', 'x'],
    ];
    const answers = await Promise.all(wrong.map((args) => world.meridian(...args)));
    expect(answers.map(({ code }) => code)).toEqual([2, 2, 2, 2]);
  });
});
