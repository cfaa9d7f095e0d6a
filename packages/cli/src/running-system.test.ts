import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { askLocalRun } from './control.ts';
import { chooseRegion, findSystem, type RunningSystem } from './running-system.ts';

let state: string;
const servers: Server[] = [];
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'meridian-cli-'));
  await mkdir(join(state, 'run'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((closed) => server.close(closed));
  await rm(state, { recursive: true });
});

const listen = (server: Server, where: string | number): Promise<Server> => {
  servers.push(server);
  return new Promise((ready) => server.listen(where, () => ready(server)));
};
const writeRunning = (value: unknown) => writeFile(join(state, 'run', 'running.json'), JSON.stringify(value));

describe('findSystem', () => {
  test('reads what the local run wrote, and what it adds later', async () => {
    const doors = {
      scheduler: '127.0.0.1:1',
      sync: '127.0.0.1:2',
      optimizer: '127.0.0.1:5',
      nats: 'tls://127.0.0.1:3',
      metrics: 4,
    };
    await writeRunning({ regions: { beijing: doors }, control: '/c', certificates: '/d', pid: 1 });
    expect(await findSystem({ state })).toEqual({
      regions: [
        {
          name: 'beijing',
          scheduler: '127.0.0.1:1',
          sync: '127.0.0.1:2',
          optimizer: '127.0.0.1:5',
          nats: 'tls://127.0.0.1:3',
        },
      ],
      control: '/c',
      certificates: '/d',
    });
  });

  test('says what to do when nothing runs, or the file is of another version', async () => {
    await expect(findSystem({ state })).rejects.toThrow(/make run.*--address/);
    await writeRunning({ regions: [] });
    await expect(findSystem({ state })).rejects.toThrow(/start it again/);
  });

  test('takes an address, which needs certificates', async () => {
    await expect(findSystem({ state, address: '[::1]:9' })).rejects.toThrow(/--certificates/);
    await expect(findSystem({ state, address: 'nonsense', certificates: '/c' })).rejects.toThrow(/host:port/);
    expect(await findSystem({ state, address: '[::1]:9', certificates: '/c', region: 'tokyo' })).toEqual({
      regions: [{ name: 'tokyo', scheduler: '[::1]:9', sync: '[::1]:9', optimizer: '[::1]:9', nats: 'tls://[::1]:9' }],
      certificates: '/c',
    });
  });
});

test('without a name the first region that answers is taken; a wrong name lists the regions', async () => {
  const server = await listen(createServer(), 0);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const doors = (name: string, port: number) => ({
    name,
    scheduler: `localhost:${port}`,
    sync: '',
    optimizer: '',
    nats: '',
  });
  const system: RunningSystem = { regions: [doors('down', 1), doors('up', address.port)], certificates: '' };
  expect((await chooseRegion(system)).name).toBe('up');
  expect((await chooseRegion(system, 'down')).name).toBe('down');
  await expect(chooseRegion(system, 'tokyo')).rejects.toThrow(/"tokyo".*down, up/);
  const down = { ...system, regions: [doors('down', 1)] };
  await expect(chooseRegion({ ...down, control: '/c' })).rejects.toThrow(/no region answers \(down\).*make run/);
  await expect(chooseRegion(down)).rejects.toThrow(/nothing answers at down: is the address right/);
});

describe('askLocalRun', () => {
  const control = () => join(state, 'control.sock');
  const answering = (answer: string) =>
    createServer((socket) =>
      socket.once('data', (line) => socket.end(answer.replace('REQUEST', JSON.stringify(String(line))))),
    );

  test('sends one line and gives back the result', async () => {
    await writeRunning({ regions: {}, control: control(), certificates: '' });
    await listen(answering('{"ok":true,"result":REQUEST}\n'), control());
    expect(await askLocalRun({ state }, 'cut', { a: 'x', b: 'y' })).toBe(
      '{"command":"cut","arguments":{"a":"x","b":"y"}}\n',
    );
  });

  test.each([
    ['a refusal', '{"ok":false,"error":"no region x"}\n', 'no region x'],
    ['an end without an answer', '', 'ended before it answered'],
    ['an answer that is none', '[]\n', 'ended before it answered'],
    ['half an answer', '{"ok"', 'ended before it answered'],
  ])('%s is a failure', async (_, answer, message) => {
    await writeRunning({ regions: {}, control: control(), certificates: '' });
    await listen(answering(answer), control());
    await expect(askLocalRun({ state }, 'cut', {})).rejects.toThrow(message);
  });

  test('without a local run it says how to start one', async () => {
    await writeRunning({ regions: {}, control: control(), certificates: '' });
    await expect(askLocalRun({ state }, 'cut', {})).rejects.toThrow(/make run/);
    await expect(askLocalRun({ state, address: 'a:1', certificates: '/c' }, 'cut', {})).rejects.toThrow(/--address/);
  });
});
